#include "hostside/cli/store_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "hostside/base/printable.h"
#include "hostside/build/commit.h"
#include "hostside/build/fetch.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/reporter.h"

namespace hostside {

namespace {

struct StoreArguments {
    std::string machine;
    CommitWish wish{.most_bytes = uint64_t{64} << 30};
    int patience_s = 10;
};

base::Result<ExecWish> machine_for(const StoreArguments &arguments) {
    auto machine = find_machine(arguments.machine);
    if (!machine) return std::unexpected(machine.error());
    return ExecWish{.machine = machine->name, .run_directory = machine->path, .patience_s = arguments.patience_s};
}

int commit(const StoreArguments &arguments) {
    const auto done =
        machine_for(arguments).and_then([&](const ExecWish &machine) { return commit_new_paths(machine, arguments.wish, say); });
    return done ? 0 : refuse(done.error());
}

int rollback(const StoreArguments &arguments) {
    const auto said =
        machine_for(arguments).and_then([](const ExecWish &machine) { return run_task(machine, "store-rollback"); });
    if (!said) return refuse(said.error());
    say(printable(*said));
    return 0;
}

CLI::App *add(CLI::App &app, const std::shared_ptr<StoreArguments> &arguments, const char *name, const char *help) {
    CLI::App *command = app.add_subcommand(name, help);
    command->add_option("NAME", arguments->machine, "a running machine")->required();
    command->add_option("--patience", arguments->patience_s, "how long its agent may take to answer")
        ->check(CLI::Range(0, 86400).description(""))
        ->type_name("SECONDS");
    return command;
}

}  // namespace

void add_store_commands(CLI::App &app, int &status) {
    auto arguments = std::make_shared<StoreArguments>();
    CLI::App *command = add(app, arguments, "commit", "copy what a machine added to its store into this host's store");
    command->add_flag("--dry-run", arguments->wish.dry_run, "only show what would be copied");
    command->add_option("--store", arguments->wish.store, "this host's store: ROOT/nix/store")
        ->type_name("DIR")
        ->capture_default_str();
    command->add_option("--max-output", arguments->wish.most_bytes, "maximum total size, such as 500M or 2G; 0: all free space")
        ->type_name("SIZE")
        ->default_str("64G")
        ->transform(CLI::AsSizeValue(false).description(""));
    command->callback([&status, arguments] { status = commit(*arguments); });
    auto undone = std::make_shared<StoreArguments>();
    add(app, undone, "rollback", "make a machine's next boot remove what it added to its store")->callback([&status, undone] {
        status = rollback(*undone);
    });
}

}  // namespace hostside
