#include "hostside/cli/in_vm_command.h"

#include <CLI/CLI.hpp>
#include <format>
#include <memory>
#include <utility>

#include "hostside/cli/arguments.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/lone_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/exec/client.h"
#include "hostside/qemu/program.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

struct InVm {
    Arguments machine;
    CommandWords command;
    std::vector<std::string> disks;
    std::string before, after;
};

// Runs a line in the host's shell.
Result<> run_hook(const std::string &line, std::string_view flag) {
    if (line.empty()) return {};
    // Standard output is only for the command.
    auto exit = base::run({.argv = {"/bin/sh", "-c", "exec >&2\n" + line}});
    if (!exit) return std::unexpected(exit.error());
    return exit->status == 0 ? Result<>() : fail(0, "run", flag, std::format("it ended with status {}", exit->status));
}

int in_vm(InVm &arguments) {
    std::vector<std::string> command = std::exchange(arguments.machine.extra, {});
    if (command.empty())
        return refuse({"run", "", 0, "no command given; put it after --, as in: runvm in-vm SYSTEM -- mkfs.ext4 /dev/vda"});
    make_lone(arguments.machine, false);
    auto described = machine_of(arguments.machine);
    if (!described) return refuse(described.error());
    auto qemu = find_qemu(described->qemu);
    if (!qemu) return refuse(qemu.error());
    auto disks = disks_of(arguments.disks, !arguments.before.empty());
    if (!disks) return refuse(disks.error());
    if (auto done = run_hook(arguments.before, "--pre-vm"); !done) return refuse(done.error());
    if (auto done = add_disks(arguments.machine, *disks, *qemu); !done) return refuse(done.error());
    const int status = work_within(arguments.machine, "", [&](const ExecWish &machine) {
        const ExecWish wish{.machine = machine.machine,
                            .run_directory = machine.run_directory,
                            .request = request_of(arguments.command, std::move(command)),
                            .streams = own_streams(),
                            .patience_s = machine.patience_s,
                            .interrupted = machine.interrupted};
        return run_in_guest(wish).transform(status_of);
    });
    if (auto left = leave_status(status); !left) return refuse(left.error());
    if (status != 0) return status;
    const auto done = run_hook(arguments.after, "--post-vm");
    return done ? 0 : refuse(done.error());
}

}  // namespace

void add_in_vm_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<InVm>();
    CLI::App *command = app.add_subcommand("in-vm", "run one command in a new machine without stage 2");
    add_description_flags(*command, arguments->machine);
    add_command_options(*command, arguments->command);
    add_disk_option(*command, arguments->disks);
    command->add_option("--pre-vm", arguments->before, "a shell line to run on this host before the machine starts")
        ->type_name("LINE");
    command->add_option("--post-vm", arguments->after, "a shell line to run on this host after the command succeeds")
        ->type_name("LINE");
    command->callback([&status, arguments] { status = in_vm(*arguments); });
}

}  // namespace hostside
