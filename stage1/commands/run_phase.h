// What the commands for somebody else's stage 1 share (devices, mounts, register): a phase run by itself, and how they end.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

// The phase is told to the launcher, then every step up to the first that fails, what came of each on stdout.
base::Result<> run_aloud(const mounts::Phase &phase);

// The exit code. A failure is told on stderr, and to the launcher where there is one, for whoever started this may wait for a
// person at the console: systemd's emergency.target does.
int exit_code(const base::Result<> &result);

}  // namespace stage1
