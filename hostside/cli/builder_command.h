// `runvm builder`: a machine becomes a builder of the host's Nix. And `runvm builder-ssh`, which Nix calls as `ssh`.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_builder_commands(CLI::App &app, int &status);

}  // namespace hostside
