// The commands of others that run fleets: Slurm's and Nix's.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// What it said, standard error included. Error: it is not here, with `absent` as what to do; or it failed, with what it said
// last.
base::Result<std::string> ask_engine(const std::vector<std::string> &argv, const std::string &absent);

}  // namespace hostside
