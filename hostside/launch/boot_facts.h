// The facts about the guest's kernel, initrd and registration.
#pragma once

#include "hostside/launch/facts.h"

namespace hostside {

// Fills facts.boot and the accelerator. Error: no kernel, no init, no toplevel, a kernel that lacks what the machine needs, or
// a path that the host's Nix database doesn't know.
base::Result<> look_at_boot(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

// The same, without the accelerator and without converting the kernel.
base::Result<> look_at_initrd(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

// The registration of the closure of store paths, from the store's own database.
base::Result<std::string> registration_of(const Machine &machine, const std::vector<std::string> &paths);

// For a boot loader, whose kernel and initrd are on its disk: only the accelerator.
base::Result<> look_at_boot_loader(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
