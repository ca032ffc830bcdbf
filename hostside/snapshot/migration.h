// A machine's state to a file and back, by QEMU's migration. Its memory is not in it: that is a file which QEMU maps, shared with
// it while the machine that is saved runs, privately in each fork (QEMU, migration capability x-ignore-shared). So a fork reads
// what it touches, and forks have in common what they don't write to.
#pragma once

#include "hostside/qemu/monitor.h"
#include "mounts/base/error.h"

namespace hostside {

// The machine is stopped, and never goes on: its memory is the forks' now. Error: QEMU's words, as of a device that can't be
// saved.
base::Result<> save_state(Monitor &monitor, int file);

// Into a QEMU that waits for it (-incoming defer). The machine is as it was, stopped.
base::Result<> load_state(Monitor &monitor, int file);

// And goes on.
base::Result<> let_run(Monitor &monitor);

}  // namespace hostside
