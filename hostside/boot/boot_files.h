// What a guest boots: its kernel, command line and initrd, from a NixOS system or from files named in the description.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// How to make the initrd of this machine, and its kernel. `runvm initrd` uses it too.
struct Boot {
    std::string kernel, release, command_line, init;
    std::string system;  // toplevel as the guest sees it; empty: none
    std::string initrd;  // a finished initrd; empty: made from `modules` and `names`
    std::string stage1, modules;
    std::vector<std::string> names, load;
    std::vector<std::string> left_out;                   // entries of the system's fstab that stage 2 will ignore
    std::string shell;                                   // a static busybox for the initrd; empty: none
    bool keep_signatures = false, keep_tracing = false;  // of modules (initrd.h)
};
base::Result<Boot> boot_of(const Machine &machine);

// Whether the store or a directory of this machine may go over 9p, or over virtiofs. A shareKind of `auto`, which is not decided
// yet when a boot loader's initrd is made, may mean both; a storeKind of `auto` never means virtiofs.
bool may_use_9p(const Machine &machine);
bool may_use_virtiofs(const Machine &machine);

// A path in the guest's store as the host sees it, with symlinks into the store followed. `/nix/store/…` is in `store`.
std::string in_store(const std::string &store, std::string path);

// The cache's path for the initrd of a Boot. The name depends on everything that the initrd is made from. Empty: no cache.
base::Result<std::string> made_initrd_path(const Boot &boot);

// Makes the initrd of a Boot, or reads it from the cache.
base::Result<std::string> initrd_of(const Boot &boot);

}  // namespace hostside
