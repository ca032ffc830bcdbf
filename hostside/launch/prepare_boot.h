// From the files that a guest boots to what QEMU is given: a kernel that boots fast under this accelerator, and an initrd
// that carries what the command line can't.
#pragma once

#include "hostside/description/machine.h"
#include "hostside/launch/prepare.h"
#include "mounts/base/error.h"

namespace hostside {

// Fills the facts of kernel, initrd, command line and accelerator. Error: no kernel, no init, no toplevel, a kernel
// without what the machine needs, a command line that is too long, a path that the host's Nix database doesn't know.
base::Result<> prepare_boot(Prepared &prepared, const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
