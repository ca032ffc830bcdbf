// A command that the host requested, as a process: its user, directory and environment, and three pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/exec/request.h"

namespace stage1 {

struct RunningCommand {
    pid_t pid = -1;    // leader of its session and process group
    base::Fd input;    // its standard input; with a terminal, the keyboard
    base::Fd output;   // its standard output; with a terminal, the screen
    base::Fd errors;   // its standard error; not with a terminal
    base::Fd failure;  // ends without data when the command runs; else a code (126, 127) and the reason
    bool terminal = false;
};

// Replacements for programs that the guest may lack.
struct Surroundings {
    std::string system;            // a NixOS system whose programs come first in a command's PATH; may be empty
    std::function<int()> shell{};  // replaces the user's shell before users exist; returns the exit status
};

// All its descriptors are non-blocking.
base::Result<RunningCommand> start_command(const mounts::exec::Request &request, const Surroundings &guest);

}  // namespace stage1
