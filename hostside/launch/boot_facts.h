// The part of the facts that is about the guest's kernel, initrd and registration.
#pragma once

#include "hostside/launch/facts.h"

namespace hostside {

// Fills facts.boot and the accelerator. Error: no kernel, no init, no toplevel, a kernel without what the machine needs, a path
// that the host's Nix database doesn't know.
base::Result<> look_at_boot(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

// The same without the accelerator and what the kernel is made into.
base::Result<> look_at_initrd(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

// With a boot loader, whose kernel and initrd are on its disk: the accelerator.
base::Result<> look_at_boot_loader(LaunchFacts &facts, const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
