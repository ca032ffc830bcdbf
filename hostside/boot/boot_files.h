// What a guest boots: its kernel, command line and initrd, from a NixOS system or from what the description names.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// The initrd's description for this machine, and its kernel; used by `runvm initrd` too.
struct Boot {
    std::string kernel, release, command_line, init;
    std::string system;  // toplevel as the guest sees it; empty: none
    std::string initrd;  // a finished one; else `modules` and `names` say how to make it
    std::string stage1, modules;
    std::vector<std::string> names, load;
    std::vector<std::string> left_out;                   // of the system's fstab, which stage 2 therefore leaves alone
    std::string shell;                                   // a static busybox for the initrd; empty: none
    bool keep_signatures = false, keep_tracing = false;  // of modules (initrd.h)
};
base::Result<Boot> boot_of(const Machine &machine);

// A path of the guest's store as the host sees it, symlinks into the store followed: `/nix/store/…` lies in `store`.
std::string in_store(const std::string &store, std::string path);

// Where the cache has, or would have, the initrd of a Boot: all that it is made from is in the name. Empty: no cache.
base::Result<std::string> made_initrd_path(const Boot &boot);

// The initrd of a Boot, from the cache where it was made before.
base::Result<std::string> initrd_of(const Boot &boot);

}  // namespace hostside
