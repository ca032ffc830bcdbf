// `runvm builder` makes a machine a builder for the host's Nix. `runvm builder-ssh` is what Nix calls as `ssh`.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_builder_commands(CLI::App &app, int &status);

}  // namespace hostside
