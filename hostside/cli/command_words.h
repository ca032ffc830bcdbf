// What the commands that run a program in a guest share: options, streams, and the exit status.
#pragma once

#include <string>
#include <vector>

#include "hostside/exec/client.h"
#include "mounts/exec/request.h"

namespace CLI {
class App;
}

namespace hostside {

struct CommandWords {
    std::vector<std::string> environment;
    std::string directory, user, tty = "auto";
};

// --env, --cwd, --user, --tty
void add_command_options(CLI::App &command, CommandWords &words);

// An empty `command` means a shell.
mounts::exec::Request request_of(const CommandWords &words, std::vector<std::string> command);

// The standard streams of this process, for the command.
ExecStreams own_streams();

// The exit status for `end`. If the command did not start, prints the reason.
int status_of(const mounts::exec::End &end);

}  // namespace hostside
