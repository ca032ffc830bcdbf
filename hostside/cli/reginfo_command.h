// `runvm reginfo`: reads a closure's registration from the host's Nix database, without calling Nix.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

// Adds the subcommand. After it ran, `status` is its exit code: 0 written, 1 failed.
void add_reginfo_command(CLI::App &app, int &status);

}  // namespace hostside
