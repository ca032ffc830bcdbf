// A launch as shell commands, as shown by `runvm run --print`.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/launch/plan.h"

namespace hostside {

// The commands that prepare the launch, one per line and repeatable, then QEMU's command. `initrd_command` writes the machine's
// initrd to the file named by its next argument.
base::Result<std::string> shell_lines(const LaunchPlan &plan, const Machine &machine, std::vector<std::string> initrd_command);

}  // namespace hostside
