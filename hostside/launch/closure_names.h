// The names of the store paths that a machine's Nix is told of, a line each, for the report on those that it uses.
#pragma once

#include <string>

#include "hostside/description/machine.h"

namespace hostside {

bool traces_paths(const Machine &machine);

// Out of its registration (regInfo), where that lies in the store, else of the database beside the store. Empty: neither tells.
std::string closure_names_of(const Machine &machine);

}  // namespace hostside
