// A command that the host asked for, as a process: its user, directory, environment, and three pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/exec/request.h"

namespace stage1 {

struct RunningCommand {
    pid_t pid = -1;    // the leader of a session and of its process group
    base::Fd input;    // its standard input; of a terminal, all that is typed
    base::Fd output;   // of a terminal, all that it shows
    base::Fd errors;   // not with a terminal
    base::Fd failure;  // at its end without a byte once the command runs; else a code (126, 127) and the reason
    bool terminal = false;
};

// All its descriptors are non-blocking. `system`: a NixOS system whose programs are in the command's PATH first; may be empty.
base::Result<RunningCommand> start_command(const mounts::exec::Request &request, const std::string &system);

}  // namespace stage1
