// Reports before the boot what a machine's kernel lacks, like `runvm check`, but only for the options that this machine needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/boot/kernel_config.h"
#include "hostside/description/machine.h"
#include "hostside/launch/facts.h"
#include "mounts/base/error.h"

namespace hostside {

// Selects from `missing` what this machine needs. `fatal`: it could not reach stage 2. Pure.
std::vector<Lack> lacks_that_matter(const Machine &machine, const std::vector<Lack> &missing);

// Error: the machine can't boot. Other missing features become notes. Reports nothing if the kernel's configuration is not
// available. The result is cached per kernel, because the configuration is compressed inside the kernel.
base::Result<> check_kernel_config(LaunchFacts &facts, const Machine &machine, const std::string &kernel);

}  // namespace hostside
