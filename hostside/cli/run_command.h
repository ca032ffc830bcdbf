// `runvm run | start`: from a command line to a machine.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

// `status` is the program's exit code after the command ran.
void add_run_commands(CLI::App &app, int &status);

}  // namespace hostside
