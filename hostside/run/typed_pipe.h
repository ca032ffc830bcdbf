// Carries typed input from `runvm run` to the guest's console: a FIFO that QEMU reads. Output comes only through the console
// log. A socket would carry both. But if its reader is slow, QEMU writes a character that the socket refused into the log
// immediately, and again when the socket accepts it (QEMU 7.2 and 10; seen as doubled characters on a busy host).
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Makes NAME.in, the FIFO, and NAME.out, a link to /dev/null, in `run_directory`. Returns the path up to NAME, which is the
// argument for QEMU's chardev `pipe`.
base::Result<std::string> make_typed_pipe(const std::string &run_directory);

}  // namespace hostside
