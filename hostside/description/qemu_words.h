// QEMU's own words after `--` that are about what we have already: a script of NixOS's, or its test driver, adds them to a
// command that ends in QEMU. Taken as they stand they would be a second console on the same terminal.
#pragma once

#include <functional>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// -nographic: no window; -serial stdio (mon:stdio): the console is on the terminal anyway; -no-reboot: no allowReboot.
void take_qemu_words(Machine &machine);

// $QEMU_VDE_SOCKET_N in QEMU's arguments, which NixOS's test driver sets for its switches, and no other variable. `get` is
// getenv(3). Error: one that is not set.
base::Result<> expand_vde_sockets(Machine &machine, const std::function<const char *(const char *)> &get);

}  // namespace hostside
