// A command that the host asked for, as a process: its user, directory, environment, and three pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <functional>
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

// What stands for programs that the guest may have or not.
struct Surroundings {
    std::string system;            // a NixOS system whose programs are in a command's PATH first; may be empty
    std::function<int()> shell{};  // instead of the user's shell, where there is no user yet: its exit status
    // Makes a fork of a saved machine one of its own (mounts/exec/fork_news.h): its exit status.
    std::function<int(const std::string &news)> wake{};
};

// All its descriptors are non-blocking.
base::Result<RunningCommand> start_command(const mounts::exec::Request &request, const Surroundings &guest);

}  // namespace stage1
