// `runvm build`: boots a machine, builds a derivation inside it, and copies the outputs to the host.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_build_command(CLI::App &app, int &status);

}  // namespace hostside
