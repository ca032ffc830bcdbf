// What the kernel of a machine was built without, said before it boots: `runvm check` for the options that this machine needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/boot/kernel_config.h"
#include "hostside/description/machine.h"
#include "hostside/launch/facts.h"
#include "mounts/base/error.h"

namespace hostside {

// Those of `missing` that this machine would miss. `fatal`: it could not come to its stage 2. Pure.
std::vector<Lack> lacks_that_matter(const Machine &machine, const std::vector<Lack> &missing);

// Error: it can't boot. What else doesn't work becomes a note. Nothing of a kernel whose configuration is not to be had, which is
// remembered of each kernel, because it lies within and is packed.
base::Result<> check_kernel_config(LaunchFacts &facts, const Machine &machine, const std::string &kernel);

}  // namespace hostside
