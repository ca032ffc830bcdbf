#include "hostside/cli/command_words.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <format>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/cli/reporter.h"
#include "hostside/run/terminal.h"

namespace hostside {

using mounts::exec::End;

void add_command_options(CLI::App &command, CommandWords &words) {
    command.add_option("--user", words.user, "run as this user of the guest; default: root")->type_name("NAME");
    command.add_option("--env", words.environment, "set this variable; without a value, copy it from runvm's environment")
        ->type_name("NAME[=VALUE]")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.add_option("--cwd", words.directory, "run in this directory of the guest; default: the user's home")
        ->type_name("PATH");
    command.add_option("--tty", words.tty, "whether the command has a terminal; auto: if runvm has one")
        ->type_name("auto|on|off")
        ->check(CLI::IsMember({"auto", "on", "off"}).description(""));
}

int status_of(const End &end) {
    if (end.kind == End::exited) return end.code;
    if (end.kind == End::signalled) return signal_base + end.code;
    say(end.text);
    return end.code;
}

// Leaves out a terminal that another job uses, because reading it would stop us.
ExecStreams own_streams() {
    const bool foreign = ::isatty(STDIN_FILENO) == 1 && !at_terminal(STDIN_FILENO);
    return {.input = foreign ? -1 : STDIN_FILENO, .output = STDOUT_FILENO, .errors = STDERR_FILENO};
}

mounts::exec::Request request_of(const CommandWords &words, std::vector<std::string> command) {
    mounts::exec::Request request{.argv = std::move(command),
                                  .environment = {},
                                  .directory = words.directory,
                                  .user = words.user,
                                  .terminal = {},
                                  .task = {}};
    const bool shell = request.argv.empty();
    const bool person = at_terminal(STDIN_FILENO) && (shell || ::isatty(STDOUT_FILENO) == 1);
    if (words.tty == "on" || (words.tty == "auto" && person)) {
        request.terminal = terminal_size(STDIN_FILENO);
        const char *kind = std::getenv("TERM");
        request.environment.push_back(std::format("TERM={}", kind != nullptr ? kind : "dumb"));
    }
    for (const auto &variable : words.environment) {
        const char *value = variable.contains('=') ? nullptr : std::getenv(variable.c_str());
        if (variable.contains('='))
            request.environment.push_back(variable);
        else if (value != nullptr)  // our own value, if set
            request.environment.push_back(variable + "=" + value);
    }
    return request;
}

}  // namespace hostside
