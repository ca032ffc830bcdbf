// `runvm stop | console | qmp`: commands for a running machine.
#pragma once

#include <string>

#include "hostside/host/run_directory.h"

namespace CLI {
class App;
}

namespace hostside {

// Error: the machine does not run; names the machines that do.
base::Result<Running> find_machine(const std::string &name);

void add_life_commands(CLI::App &app, int &status);

}  // namespace hostside
