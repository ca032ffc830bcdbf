// `runvm stop | console | qmp`: what one does with a machine that runs.
#pragma once

#include <string>

#include "hostside/host/run_directory.h"

namespace CLI {
class App;
}

namespace hostside {

// Error: it does not run; the others that do are named.
base::Result<Running> find_machine(const std::string &name);

void add_life_commands(CLI::App &app, int &status);

}  // namespace hostside
