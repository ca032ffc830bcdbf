// What the verbs that run a command in a guest have in common: its options, its streams, and what its end is for us.
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

// `command`: empty for a shell.
mounts::exec::Request request_of(const CommandWords &words, std::vector<std::string> command);

// Ours, as the command has them.
ExecStreams own_streams();

// As an exit status; of one that did not start the reason is told.
int status_of(const mounts::exec::End &end);

}  // namespace hostside
