// QEMU arguments after `--` that repeat what runvm already does. NixOS's scripts and its test driver append them to a command
// that ends in QEMU. Passed on unchanged, they would add a second console on the same terminal.
#pragma once

#include <functional>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// -nographic: no window. -serial stdio (mon:stdio): dropped; the console is there anyway. -no-reboot: no allowReboot.
void take_qemu_words(Machine &machine);

// Expands $QEMU_VDE_SOCKET_N in QEMU's arguments, which NixOS's test driver sets for its switches, and no other variables.
// `get` is getenv(3). Error: a variable is not set.
base::Result<> expand_vde_sockets(Machine &machine, const std::function<const char *(const char *)> &get);

}  // namespace hostside
