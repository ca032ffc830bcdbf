// `runvm check`: checks whether a kernel has what a machine needs.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_check_command(CLI::App &app, int &status);

}  // namespace hostside
