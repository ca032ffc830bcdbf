// `runvm export`: writes a machine as a file for a service manager.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_export_command(CLI::App &app, int &status);

}  // namespace hostside
