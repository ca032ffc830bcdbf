// `runvm fleet init`: writes an example of a fleet, ready to run.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_fleet_init_command(CLI::App &fleet, int &status);

}  // namespace hostside
