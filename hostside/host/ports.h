// Are the host's ports free that a machine forwards? Asked before QEMU starts, because QEMU's own message names nobody.
#pragma once

#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: the port that is taken, and the program that has it where /proc tells.
base::Result<> check_ports(const std::vector<ForwardPort> &ports);

}  // namespace hostside
