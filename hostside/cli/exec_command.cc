#include "hostside/cli/exec_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <format>
#include <memory>
#include <thread>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/boot/boot_files.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/own_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/client.h"
#include "hostside/exec/copy.h"
#include "hostside/exec/hub.h"

namespace hostside {

namespace {

using base::Result;
using mounts::exec::End;

struct ExecArguments {
    Arguments machine;  // machine.system is a name, or a system to boot
    CommandWords command;
    std::string after;
    bool after_given = false;
    int patience_s = 10, power_off_s = 30;
};

bool is_unit(const std::string &text) {
    constexpr std::array<std::string_view, 7> kinds{".target", ".service", ".socket", ".mount", ".timer", ".path", ".device"};
    return text.find_first_of(" /\t") == std::string::npos &&
           std::ranges::any_of(kinds, [&](std::string_view kind) { return text.ends_with(kind); });
}

// Until the machine is where the command wants it: a unit of systemd is active, or a command of the guest's succeeds.
Result<> wait_until(const ExecWish &machine, const std::string &after) {
    if (after.empty()) return {};
    ExecWish wish{.machine = machine.machine, .run_directory = machine.run_directory, .patience_s = machine.patience_s};
    wish.streams.errors = STDERR_FILENO;
    if (is_unit(after))
        wish.request.task = "wait-for " + after;
    else
        wish.request.argv = {"sh", "-c", after};
    constexpr auto pause = std::chrono::milliseconds(300);
    for (;; std::this_thread::sleep_for(pause)) {
        auto end = run_in_guest(wish);
        if (!end) return std::unexpected(end.error());
        if (end->kind == End::exited && end->code == 0) return {};
        if (end->kind == End::signalled) return base::fail(0, "wait for", after, "interrupted");
        if (end->kind == End::failed) return base::fail(0, "wait for", after, end->text);
        if (is_unit(after))
            return base::fail(0, "wait for", after, "it was not reached, see above; --after another unit, or --after ''");
    }
}

// NixOS links its systemd there; a system whose init is systemd itself has prepare-root.
std::string default_target(const Machine &machine) {
    const std::string system = machine.toplevel.empty() ? "" : in_store(machine.store, machine.toplevel);
    for (const char *name : {"/systemd", "/prepare-root"})
        if (!system.empty() && ::access(in_store(machine.store, system + name).c_str(), F_OK) == 0) return "multi-user.target";
    return "";
}

Result<int> run_there(const ExecWish &wish, const std::string &after) {
    if (auto there = wait_until(wish, after); !there) return std::unexpected(there.error());
    return run_in_guest(wish).transform(status_of);
}

int in_own_machine(ExecArguments &arguments, ExecWish &wish) {
    auto described = machine_of(arguments.machine);
    if (!described) return refuse(described.error());
    auto machine = OwnMachine::boot(arguments.machine);
    if (!machine) return machine.error();
    wish.machine = machine->name();
    wish.run_directory = machine->run_directory();
    wish.patience_s = -1;
    const auto status = run_there(wish, arguments.after_given ? arguments.after : default_target(*described));
    if (status) {
        (void)machine->power_off(arguments.power_off_s);
        return *status;
    }
    say(base::message(status.error()));
    // Its launcher knows better why, if it ended.
    if (!status.error().hint.contains("machine ended")) return launcher_error;
    const int code = machine->wait();
    return code == 0 ? static_cast<int>(launcher_error) : code;
}

int exec(ExecArguments &arguments, bool shell) {
    std::vector<std::string> command = std::exchange(arguments.machine.extra, {});
    if (!shell && command.empty())
        return refuse({"run", "", 0, "no command; it stands after --, as in: runvm exec NAME -- uname -a"});
    ExecWish wish{.machine = arguments.machine.system,
                  .run_directory = {},
                  .request = request_of(arguments.command, std::move(command)),
                  .streams = own_streams(),
                  .patience_s = arguments.patience_s};
    const std::string &name = arguments.machine.system;
    const bool described = !arguments.machine.config.empty() ||
                           std::ranges::any_of(arguments.machine.flags, [](const Flag &f) { return !f.values.empty(); });
    if (name.contains('/') || (name.empty() && described)) return in_own_machine(arguments, wish);
    if (name.empty())
        return refuse(
            {"run", "", 0,
             "in which machine? Name one that runs (runvm list), or give what `runvm run` takes, and one is booted for it"});
    auto machine = find_machine(name);
    if (!machine) {
        machine.error().hint += "; to boot a system, name its directory with a '/'";
        return refuse(machine.error());
    }
    wish.run_directory = machine->path;
    const auto status = run_there(wish, arguments.after);
    return status ? *status : refuse(status.error());
}

int copy(const std::string &from, const std::string &to, const ExecArguments &arguments) {
    auto copy = copy_of(from, to);
    if (!copy) return refuse(copy.error());
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
    command.add_option("--patience", arguments.patience_s, "seconds for a running machine's agent to answer")
        ->check(CLI::Range(0, 86400).description(""))
        ->type_name("SECONDS");
}

void add_exec(CLI::App &app, int &status, bool shell) {
    auto arguments = std::make_shared<ExecArguments>();
    CLI::App *command = shell
                            ? app.add_subcommand("shell", "a shell in a machine that runs, or in one that is booted for it")
                            : app.add_subcommand("exec", "run a command in a machine that runs, or in one that is booted for it");
    add_description_flags(*command, arguments->machine);
    command->remove_option(command->get_option("system"));
    command->add_option("NAME", arguments->machine.system, "a machine that runs; with a '/' in it, a NixOS system to boot")
        ->type_name("NAME");
    add_patience(*command, *arguments);
    add_command_options(*command, arguments->command);
    auto *after = command
                      ->add_option("--after", arguments->after,
                                   "first wait for a unit of systemd, or until a command of the guest's succeeds; of a machine "
                                   "that is booted for it: multi-user.target, if the system has systemd")
                      ->type_name("UNIT|COMMAND");
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
    CLI::App *cp = app.add_subcommand("cp", "copy a file to or from a machine that runs");
    cp->add_option("from", copied->from, "a file, or NAME:FILE of a machine")->required();
    cp->add_option("to", copied->to, "the same; one of the two is of a machine")->required();
    cp->add_option("--user", copied->arguments.command.user, "the guest's user whose rights count; root without it")
        ->type_name("NAME");
    add_patience(*cp, copied->arguments);
    cp->callback([&status, copied] { status = copy(copied->from, copied->to, copied->arguments); });
    auto directory = std::make_shared<std::string>();
    CLI::App *hub = app.add_subcommand("exec-hub", "share out a machine's port for commands");
    hub->group("");  // a launcher's, not a person's
    hub->add_option("directory", *directory)->required();
    hub->callback([&status, directory] {
        const auto done = run_hub(*directory);
        status = done ? 0 : refuse(done.error());
    });
}

}  // namespace hostside
