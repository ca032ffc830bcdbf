// `runvm run | start`: from a command line to a machine.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace hostside {

struct Arguments;

// The whole life of one machine; the exit code. `started` is told once: an empty text when QEMU runs, or why it does not.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started);

// `status` is the program's exit code after the command ran.
void add_run_commands(CLI::App &app, int &status);

}  // namespace hostside
