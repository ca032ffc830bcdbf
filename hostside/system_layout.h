// What a NixOS toplevel (/nix/store/…-nixos-system-…) holds for a boot: kernel, initrd, init, kernel-params,
// kernel-modules/lib/modules/RELEASE.
#pragma once

#include "hostside/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Fills what the machine does not say itself from its toplevel. The toplevel is a path as the guest has it; when the
// store lies elsewhere on the host (`store` is not /nix/store), files are looked up there, links into the store
// included. Error: the part that is missing.
base::Result<> complete_from_toplevel(Machine &machine);

// A path of the guest's store as the host reads it.
std::string host_path(const Machine &machine, const std::string &guest_path);

}  // namespace hostside
