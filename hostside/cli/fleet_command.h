// `runvm fleet FILE` and `runvm fleet init`: many machines from one file.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_fleet_command(CLI::App &app, int &status);

}  // namespace hostside
