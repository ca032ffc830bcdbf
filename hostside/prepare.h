// From a description to what QEMU needs on this host: the program and its abilities, the kernel and initrd to boot, the
// accelerator, disks and folders. All that is looked at or made before the start happens here; see qemu.h for the rest.
#pragma once

#include <string>
#include <vector>

#include "hostside/machine.h"
#include "hostside/qemu.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Prepared {
    HostFacts facts;
    std::vector<std::string> notes;  // for a person: an image that was created, why KVM is not used
    std::vector<base::Fd> locks;     // of disk images, for as long as the machine runs
};

struct PrepareOptions {
    std::string run_folder;
    bool make = true;      // false: only look, for --print: no image is created or locked
    bool fresh = false;    // an existing root disk is put aside first
    bool terminal = true;  // see HostFacts
    bool monitor = false;
};

base::Result<Prepared> prepare(const Machine &machine, const PrepareOptions &options);

// The initrd's description for this machine, and its kernel; used by `runvm initrd` too.
struct Boot {
    std::string kernel, release, command_line, init;
    std::string initrd;  // a finished one; else `modules` and `names` say how to make it
    std::string stage1, modules;
    std::vector<std::string> names, load;
    bool keep_signatures = false;
};
base::Result<Boot> boot_of(const Machine &machine);

// A path of the guest's store as the host sees it, symlinks into the store followed: `/nix/store/…` lies in `store`.
std::string in_store(const std::string &store, std::string path);

// The `initrd` bytes of a Boot, from the cache where they were made before, and their file there (empty: no cache).
struct Initrd {
    std::string bytes, path;
};
base::Result<Initrd> initrd_of(const Boot &boot);

}  // namespace hostside
