// Predicts failures in the guest. That is possible because the store is on the host and stage 1's actions follow from its
// parameters. Reporting them before QEMU starts saves a boot. Looks only at what the guest can't have changed.
#pragma once

#include "hostside/boot/boot_files.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: the file is not a kernel; a parameter or value that stage 1 does not know; an impossible share or root; an init that
// is not in the store, is not executable, or whose interpreter is missing. With an initrd from the description, checks only the
// kernel, because that initrd may treat parameters and init differently.
base::Result<> foresee(const Machine &machine, const Boot &boot);

}  // namespace hostside
