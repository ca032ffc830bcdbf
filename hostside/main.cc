// runvm: the launcher on the host. Each command is in its own file; this one is the table of them.

#include <CLI/CLI.hpp>
#include <exception>
#include <format>

#include "hostside/base/exit_code.h"
#include "hostside/cli/completion_command.h"
#include "hostside/cli/describe_command.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/reginfo_command.h"
#include "hostside/cli/relay_command.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/run_command.h"

namespace {

int command_line(int argc, char **argv) {
    CLI::App app{"Starts NixOS virtual machines in QEMU.", "runvm"};
    app.set_version_flag("--version", "runvm " STAGE1_VERSION);
    app.require_subcommand(1);
    int status = 0;
    hostside::add_run_commands(app, status);
    hostside::add_describe_commands(app, status);
    hostside::add_life_commands(app, status);
    hostside::add_reginfo_command(app, status);
    hostside::add_relay_command(app, status);
    hostside::add_completion_command(app, status);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        const auto used = app.get_subcommands();
        hostside::say(std::format("{}; see runvm {}--help", error.what(), used.empty() ? "" : used.front()->get_name() + " "));
        return hostside::launcher_error;
    }
    return status;
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return command_line(argc, argv);
    } catch (const std::exception &error) {
        hostside::say(std::format("a bug, please report it: {}", error.what()));
        return hostside::launcher_error;
    }
}
