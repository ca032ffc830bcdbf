#include "hostside/cli/check_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <print>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/boot/kernel_config.h"
#include "hostside/cli/reporter.h"

namespace hostside {

namespace {

int check(const std::string &path) {
    auto config = kernel_config(path);
    if (!config) {
        say(base::message(config.error()));
        return launcher_error;
    }
    const auto missing = lacks(*config);
    for (const auto &lack : missing) std::println("{} {}: {}", lack.fatal ? "missing" : "without", lack.option, lack.without);
    const bool boots = std::ranges::none_of(missing, &Lack::fatal);
    if (missing.empty())
        std::println("{}: has all {} options that a machine may need", printable(path), needed_options());
    else
        std::println("{}: {}", printable(path), boots ? "a machine boots" : "no machine boots");
    return boots ? 0 : 1;
}

}  // namespace

void add_check_command(CLI::App &app, int &status) {
    auto path = std::make_shared<std::string>();
    CLI::App *command = app.add_subcommand("check", "does a kernel have what a machine needs");
    command->add_option("kernel", *path, "a kernel, or its configuration: config-RELEASE, /proc/config.gz")
        ->required()
        ->type_name("FILE");
    command->callback([&status, path] { status = check(*path); });
}

}  // namespace hostside
