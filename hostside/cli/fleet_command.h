// `runvm fleet FILE` and `runvm fleet init`: many machines described in one file.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_fleet_command(CLI::App &app, int &status);

}  // namespace hostside
