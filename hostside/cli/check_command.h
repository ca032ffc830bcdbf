// `runvm check`: does a kernel have what a machine needs?
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_check_command(CLI::App &app, int &status);

}  // namespace hostside
