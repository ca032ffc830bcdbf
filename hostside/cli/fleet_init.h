// `runvm fleet init`: an example of a fleet that runs.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_fleet_init_command(CLI::App &fleet, int &status);

}  // namespace hostside
