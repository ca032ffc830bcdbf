// Shows a fleet on a terminal: running machines and their progress, failures, and how many wait. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "hostside/fleet/results.h"

namespace hostside {

// The current lines: at most `rows`, each at most `columns` wide.
std::vector<std::string> table_of(const FleetResult &result, size_t rows, size_t columns);

// The outcome in one line: `198 passed, 2 failed in 5 min; failed: web, db`.
std::string summary_of(const FleetResult &result);

// One line about a machine that started or ended.
std::string line_of(const MachineResult &machine);

}  // namespace hostside
