// `runvm run`: a machine from flags and environment, started and waited for.
#pragma once

#include <CLI/CLI.hpp>

namespace hostside {

// When it ran, `status` is runvm's exit code (supervise.h).
void add_run_command(CLI::App &app, int &status);

// `runvm initrd`: writes the initrd alone.
void add_initrd_command(CLI::App &app, int &status);

}  // namespace hostside
