// How what a person types at `runvm run` comes to the guest's console: a FIFO that QEMU reads. What the console says comes by its
// log alone. A socket would carry both; but when its reader is late, QEMU writes a character that the socket did not take into
// the log at once, and again when the socket takes it (QEMU 7.2 and 10, seen as doubled characters on a busy host).
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Makes NAME.in, the FIFO, and NAME.out, a link to /dev/null, in `run_directory`, and returns the path up to NAME: what QEMU's
// chardev `pipe` takes.
base::Result<std::string> make_typed_pipe(const std::string &run_directory);

}  // namespace hostside
