// Shared by the commands for another program's stage 1 (devices, mounts, register): running one phase, and the exit code.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

// Reports the phase to the launcher and runs its steps until one fails. Prints each step's result to stdout.
base::Result<> run_aloud(const mounts::Phase &phase);

// Returns the exit code. Reports a failure on stderr and to the launcher, if there is one, because the caller may wait for a
// person at the console: systemd's emergency.target does.
int exit_code(const base::Result<> &result);

}  // namespace stage1
