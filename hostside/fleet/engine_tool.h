// Runs the commands of Slurm and Nix that run fleets.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// Returns its output, standard error included. Error: the command is not installed, and `absent` says what to do; or it failed,
// with the last line of its output.
base::Result<std::string> ask_engine(const std::vector<std::string> &argv, const std::string &absent);

}  // namespace hostside
