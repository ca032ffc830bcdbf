#include "hostside/cli/exec_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <format>
#include <memory>
#include <optional>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/exec/client.h"
#include "hostside/exec/copy.h"
#include "hostside/exec/hub.h"

namespace hostside {

namespace {

using base::Result;

struct ExecArguments {
    Arguments machine;  // machine.system is a machine's name or a system to boot
    CommandWords command;
    std::string after;
    bool after_given = false;
    int patience_s = 10;
    uint64_t most_bytes = 0;  // limit for a copy; 0: the free space
};

Result<int> run_there(const ExecWish &wish, const std::string &after) {
    int interrupted = 0;
    ExecWish waiting = wish;
    waiting.interrupted = &interrupted;
    if (auto there = wait_until(waiting, after); !there)
        return interrupted != 0 ? Result<int>(signal_base + interrupted) : std::unexpected(there.error());
    return run_in_guest(wish).transform(status_of);
}

int in_own_machine(ExecArguments &arguments, const ExecWish &wish) {
    return work_within(arguments.machine, arguments.after_given ? std::optional(arguments.after) : std::nullopt,
                       [&](const ExecWish &machine) {
                           ExecWish there = wish;
                           there.machine = machine.machine;
                           there.run_directory = machine.run_directory;
                           there.patience_s = machine.patience_s;
                           there.interrupted = machine.interrupted;
                           return run_in_guest(there).transform(status_of);
                       });
}

int exec(ExecArguments &arguments, bool shell) {
    std::vector<std::string> command = std::exchange(arguments.machine.extra, {});
    if (!shell && command.empty())
        return refuse({"run", "", 0, "no command given; put it after --, as in: runvm exec NAME -- uname -a"});
    ExecWish wish{.machine = arguments.machine.system,
                  .run_directory = {},
                  .request = request_of(arguments.command, std::move(command)),
                  .streams = own_streams(),
                  .patience_s = arguments.patience_s};
    const std::string &name = arguments.machine.system;
    const bool described = !arguments.machine.config.empty() || !arguments.machine.from.empty() ||
                           !arguments.machine.store_union.empty() || arguments.machine.icount ||
                           std::ranges::any_of(arguments.machine.flags, [](const Flag &f) { return !f.values.empty(); });
    if (name.contains('/') || (name.empty() && described)) return in_own_machine(arguments, wish);
    if (name.empty())
        return refuse(
            {"run", "", 0, "no machine given; name one that runs (runvm list), or pass options of `runvm run` to boot one"});
    if (described)
        return refuse({"run in", name, 0,
                       "options of `runvm run` describe a machine to boot, and a name without '/' is a machine that runs; drop "
                       "the one or the other"});
    auto machine = find_machine(name);
    if (!machine) {
        machine.error().hint += "; to boot a system, write its directory with a '/'";
        return refuse(machine.error());
    }
    wish.run_directory = machine->path;
    const auto status = run_there(wish, arguments.after);
    return status ? *status : refuse(status.error());
}

int copy(const std::string &from, const std::string &to, const ExecArguments &arguments) {
    auto copy = copy_of(from, to);
    if (!copy) return refuse(copy.error());
    copy->most_bytes = arguments.most_bytes;
    auto machine = find_machine(copy->machine);
    if (!machine) return refuse(machine.error());
    const ExecWish wish{.machine = machine->name,
                        .run_directory = machine->path,
                        .request = {.user = arguments.command.user},
                        .patience_s = arguments.patience_s};
    auto status = run_copy(*copy, wish);
    return status ? status_of(*status) : refuse(status.error());
}

void add_patience(CLI::App &command, ExecArguments &arguments) {
    command.add_option("--patience", arguments.patience_s, "how long a running machine's agent may take to answer")
        ->check(CLI::Range(0, 86400).description(""))
        ->type_name("SECONDS");
}

void add_exec(CLI::App &app, int &status, bool shell) {
    auto arguments = std::make_shared<ExecArguments>();
    CLI::App *command = shell ? app.add_subcommand("shell", "open a shell in a running machine, or in one that is booted for it")
                              : app.add_subcommand("exec", "run a command in a running machine, or in one that is booted for it");
    add_description_flags(*command, arguments->machine);
    command->remove_option(command->get_option("system"));
    command->add_option("NAME", arguments->machine.system, "a running machine; with a '/' in it, a NixOS system to boot")
        ->type_name("NAME");
    add_from_flag(*command, arguments->machine);
    add_patience(*command, *arguments);
    add_command_options(*command, arguments->command);
    CLI::Option *after = add_after(*command, arguments->after);
    command->callback([&status, arguments, shell, after] {
        arguments->after_given = after->count() > 0;
        status = exec(*arguments, shell);
    });
}

}  // namespace

void add_exec_commands(CLI::App &app, int &status) {
    add_exec(app, status, false);
    add_exec(app, status, true);
    struct Copied {
        std::string from, to;
        ExecArguments arguments;
    };
    auto copied = std::make_shared<Copied>();
    CLI::App *cp = app.add_subcommand("cp", "copy a file to or from a running machine");
    cp->add_option("from", copied->from, "a file, or NAME:FILE in a machine")->required();
    cp->add_option("to", copied->to, "likewise; one of the two must be in a machine")->required();
    cp->add_option("--user", copied->arguments.command.user, "use the rights of this user of the guest; default: root")
        ->type_name("NAME");
    cp->add_option("--max-bytes", copied->arguments.most_bytes,
                   "maximum size of a file from the guest, such as 500M or 2G; 0: all free space")
        ->type_name("SIZE")
        ->default_str("0")
        ->transform(CLI::AsSizeValue(false).description(""));
    add_patience(*cp, copied->arguments);
    cp->callback([&status, copied] { status = copy(copied->from, copied->to, copied->arguments); });
    auto directory = std::make_shared<std::string>();
    auto restored = std::make_shared<bool>(false);
    CLI::App *hub = app.add_subcommand("exec-hub", "share a machine's port among commands");
    hub->group("");  // for launchers, not for users
    hub->add_option("directory", *directory)->required();
    hub->add_flag("--restored", *restored);
    hub->callback([&status, directory, restored] {
        const auto done = run_hub(*directory, *restored);
        status = done ? 0 : refuse(done.error());
    });
}

}  // namespace hostside
