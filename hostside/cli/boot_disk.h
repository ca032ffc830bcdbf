// A boot loader's disk, made in a machine of its own: partitioned, formatted, and the system's boot loader installed on it by the
// system's own switch-to-configuration.
#pragma once

#include "hostside/description/machine.h"

namespace hostside {

struct Arguments;

// Makes bootDisk of the toplevel, over an older one of ours. An exit code; why it is not 0 is said.
int make_boot_disk(const Machine &machine, bool json);

// Before a machine starts: its boot disk is made if it needs one, and is absent or was made of something else. One that we did
// not make is left as it is. An exit code; why it is not 0 is said.
int provide_boot_disk(Arguments &arguments);

}  // namespace hostside
