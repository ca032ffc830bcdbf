// A whole launch: the facts about this host (facts.h), the plan (plan.h), and its execution (apply.h).
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
#include "hostside/store/share_servers.h"
#include "hostside/store/store.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Prepared {
    HostFacts facts;
    std::vector<std::string> notes;       // for a person: an image was created, why KVM is not used
    std::vector<FileLock> locks;          // disk images, held while the machine runs
    std::vector<base::Fd> devices;        // claimed, also while it runs
    std::vector<VlanPort> vlans;          // also
    std::vector<GuestRelay> relays;       // also
    CompanionProcess tpm;                 // also
    std::vector<DirectoryServer> shares;  // also
    ProvidedStore store;                  // also; QEMU inherits the directory of its view
};

struct PrepareOptions {
    std::string run_directory;
    bool fresh = false;    // move an existing root disk aside first
    bool pasted = false;   // a person will run the command, later, perhaps twice, without runvm
    bool terminal = true;  // see HostFacts
    bool monitor = false;
    std::string memory_file{};  // see HostFacts, also for `restored`
    bool restored = false;
    // Of pathsInNixDB, those that the restored machine does not know yet. It gets their registration in xchg.
    std::vector<std::string> new_paths{};
    // Called with the plan before anything is done. Its error is returned.
    std::function<base::Result<>(const Machine &, const HostFacts &)> check{};
    std::function<void(const std::string &what)> progress = [](const std::string &) {};  // called before slow work
};

// Resolves paths relative to the current directory, so that printed commands can be pasted elsewhere.
void make_paths_absolute(Machine &machine);

// `machine` must have absolute paths. A refused launch leaves nothing behind.
base::Result<Prepared> prepare(const Machine &machine, const PrepareOptions &options);

// Plans the launch and has options.check judge it. Makes and starts nothing.
base::Result<> check_launch(const Machine &machine, const PrepareOptions &options);

// The initrd that the machine would boot.
base::Result<std::string> complete_initrd(const Machine &machine);

// Words of runvm's own that a printed launch calls.
struct PreparingCommands {
    std::vector<std::string> initrd;     // writes the initrd to the file that the next word names
    std::vector<std::string> boot_disk;  // makes the boot loader's disk
};

// The actions of `prepare` and QEMU's command as shell lines; see shell_lines.h. Has no effect.
base::Result<std::string> printed_launch(const Machine &machine, const PrepareOptions &options,
                                         const PreparingCommands &commands);

}  // namespace hostside
