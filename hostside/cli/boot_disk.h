// Makes a boot loader's disk in a separate machine: partitions and formats it, then runs the system's own
// switch-to-configuration to install the boot loader.
#pragma once

#include "hostside/description/machine.h"

namespace hostside {

struct Arguments;

// Makes bootDisk from the toplevel, replacing only one that runvm made. Returns an exit code; prints the reason for a failure.
int make_boot_disk(const Machine &machine, bool json);

// Call before a machine starts. Makes its boot disk if the machine needs one and it is missing or was made from something else.
// Leaves disks that runvm did not make. Returns an exit code; prints the reason for a failure.
int provide_boot_disk(Arguments &arguments);

}  // namespace hostside
