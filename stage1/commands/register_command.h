// `stage1 register`: loads the closure's registration into the target root's Nix database (postBootCommands,
// stage1-register.service).
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand. It sets `status` to the exit code: 0 loaded, 1 failed.
void add_register_command(CLI::App &app, int &status);

}  // namespace stage1
