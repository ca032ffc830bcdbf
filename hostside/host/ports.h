// Checks that the host ports of a machine are free before QEMU starts, because QEMU's message does not name the other program.
#pragma once

#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: the port that is taken, and the program that has it if /proc tells.
base::Result<> check_ports(const std::vector<ForwardPort> &ports);

}  // namespace hostside
