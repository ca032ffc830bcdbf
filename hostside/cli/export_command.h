// `runvm export`: a machine as a file of those that start services.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_export_command(CLI::App &app, int &status);

}  // namespace hostside
