// Saves a machine's state to a file and restores it, with QEMU's migration. The memory is a separate file that QEMU maps:
// shared while the saved machine runs, private in each fork (QEMU, migration capability x-ignore-shared). So a fork reads only
// pages that it touches, and forks share the pages that they do not modify.
#pragma once

#include "hostside/qemu/monitor.h"
#include "mounts/base/error.h"

namespace hostside {

// Stops the machine for good, because its memory now belongs to the forks. Error: QEMU's message, for example about a device
// that cannot be saved.
base::Result<> save_state(Monitor &monitor, int file);

// Loads into a QEMU that waits for it (-incoming defer). The machine stays stopped.
base::Result<> load_state(Monitor &monitor, int file);

// Lets the stopped machine run.
base::Result<> let_run(Monitor &monitor);

}  // namespace hostside
