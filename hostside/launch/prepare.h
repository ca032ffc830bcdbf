// From a description to what QEMU needs on this host: the program and its abilities, the kernel and initrd to boot, the
// accelerator, disks and folders. All that is looked at or made before the start happens here; see qemu.h for the rest.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/description/machine.h"
#include "hostside/host/vlan.h"
#include "hostside/qemu/command.h"
#include "hostside/store/store.h"
#include "mounts/base/error.h"

namespace hostside {

struct Prepared {
    HostFacts facts;
    std::vector<std::string> notes;  // for a person: an image that was created, why KVM is not used
    std::vector<FileLock> locks;     // of disk images, for as long as the machine runs
    std::vector<VlanPort> vlans;     // the same
    ProvidedStore store;             // the same; QEMU inherits its view's folder
};

struct PrepareOptions {
    std::string run_folder;
    bool make = true;      // false: only look, for --print: no image is created or locked
    bool fresh = false;    // an existing root disk is put aside first
    bool terminal = true;  // see HostFacts
    bool monitor = false;
    std::function<void(const std::string &what)> progress;  // told before work that takes a while
};

// Paths of the host as they are from here, so that what is printed can be pasted elsewhere.
void make_paths_absolute(Machine &machine);

// `machine`: with absolute paths.
base::Result<Prepared> prepare(const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
