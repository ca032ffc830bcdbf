// A launch for a person's shell: what `runvm run --print` shows.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/launch/plan.h"

namespace hostside {

// The commands that prepare it, a line each, which may be run again, and last QEMU's. `initrd_command` writes the machine's
// initrd to the file that is named behind it.
base::Result<std::string> shell_lines(const LaunchPlan &plan, const Machine &machine, std::vector<std::string> initrd_command);

}  // namespace hostside
