// The names of the store paths that are registered for a machine's Nix, one per line, for the report on used paths.
#pragma once

#include <string>

#include "hostside/description/machine.h"

namespace hostside {

bool traces_paths(const Machine &machine);

// From the machine's registration (regInfo) if the store has it, otherwise from the database beside the store. Empty: neither.
std::string closure_names_of(const Machine &machine);

}  // namespace hostside
