// A launch from end to end: the facts of this host (facts.h), the plan (plan.h), and what has an effect (apply.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/description/machine.h"
#include "hostside/host/guest_relay.h"
#include "hostside/host/swtpm.h"
#include "hostside/host/vlan.h"
#include "hostside/qemu/command.h"
#include "hostside/store/store.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Prepared {
    HostFacts facts;
    std::vector<std::string> notes;  // for a person: an image that was created, why KVM is not used
    std::vector<FileLock> locks;     // of disk images, for as long as the machine runs
    std::vector<base::Fd> devices;   // claimed, the same
    std::vector<VlanPort> vlans;     // the same
    std::vector<GuestRelay> relays;  // the same
    CompanionProcess tpm;            // the same
    ProvidedStore store;             // the same; QEMU inherits its view's directory
};

struct PrepareOptions {
    std::string run_directory;
    bool fresh = false;    // an existing root disk is put aside first
    bool pasted = false;   // a person runs the command, later and perhaps twice, and without us
    bool terminal = true;  // see HostFacts
    bool monitor = false;
    std::function<void(const std::string &what)> progress = [](const std::string &) {};  // told before work that takes a while
};

// Paths of the host as they are from here, so that what is printed can be pasted elsewhere.
void make_paths_absolute(Machine &machine);

// `machine`: with absolute paths. What is refused leaves nothing.
base::Result<Prepared> prepare(const Machine &machine, const PrepareOptions &options);

// The initrd that the machine would boot.
base::Result<std::string> complete_initrd(const Machine &machine);

// What `prepare` would do and QEMU's command, as lines for a shell; see shell_lines.h. Has no effect.
base::Result<std::string> printed_launch(const Machine &machine, const PrepareOptions &options,
                                         const std::vector<std::string> &initrd_command);

}  // namespace hostside
