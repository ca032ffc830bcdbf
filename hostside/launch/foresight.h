// What would fail in the guest and is known here already: the store is here, and what stage 1 does is planned from its
// parameters. Said before QEMU starts, a wrong word costs no boot. Nothing is looked at that the guest may have changed.
#pragma once

#include "hostside/boot/boot_files.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: a file that is no kernel; a parameter that stage 1 doesn't have, or a value that it doesn't take; a share or a
// root that can't be; an init that is not in the store, can't be executed, or whose interpreter is not there. An initrd of the
// description's own has its own mind about parameters and init: with one, only the kernel is looked at.
base::Result<> foresee(const Machine &machine, const Boot &boot);

}  // namespace hostside
