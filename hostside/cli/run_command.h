// `runvm run | start`: from a command line to a machine.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace hostside {

struct Arguments;

// Runs one machine from start to end; returns the exit code. Calls `started` once: empty when QEMU runs, otherwise the reason.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started);

// `status` is the program's exit code after the command ran.
void add_run_commands(CLI::App &app, int &status);

}  // namespace hostside
