// A fleet on a terminal: what runs and how far it is, what failed, how many wait. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "hostside/fleet/results.h"

namespace hostside {

// The lines of the moment, at most `rows` of at most `columns`.
std::vector<std::string> table_of(const FleetResult &result, size_t rows, size_t columns);

// How it ended, in one line: `198 passed, 2 failed in 5 min; failed: web, db`.
std::string summary_of(const FleetResult &result);

// A machine that began or ended, in one line.
std::string line_of(const MachineResult &machine);

}  // namespace hostside
