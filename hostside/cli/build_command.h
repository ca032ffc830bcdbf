// runvm build: a derivation built inside a machine that is booted for it, the outputs brought to the host.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_build_command(CLI::App &app, int &status);

}  // namespace hostside
