#include "stage1/commands/union_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <print>

#include "stage1/base/rollback_mark.h"

namespace stage1 {

void add_union_command(CLI::App &app, int &status) {
    CLI::App *all = app.add_subcommand("union", "what a union's upper changed: diff, apply; rollback");
    all->require_subcommand(1);
    auto root = std::make_shared<std::string>("/");
    CLI::App *command = all->add_subcommand(
        "rollback", "have the next boot take away what this machine added to its store, and its registration");
    command->add_option("--target-root", *root, "the mounted root")->capture_default_str();
    command->callback([&status, root] {
        const auto asked = ask_for_rollback(*root);
        status = asked ? 0 : 1;
        if (asked)
            std::println("{}", *asked);
        else
            std::println(stderr, "stage1 union rollback: {}", base::message(asked.error()));
    });
}

}  // namespace stage1
