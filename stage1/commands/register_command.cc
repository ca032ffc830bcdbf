#include "stage1/commands/register_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <print>

#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/commands/run_phase.h"
#include "stage1/nixdb/register_closure.h"
#include "stage1/nixdb/register_live.h"

namespace stage1 {

namespace {

struct RegisterOptions {
    std::string target_root{mounts::protocol::default_target_root};
    std::string reginfo;
    std::string forget;
    bool strict = false, live = false;
};

base::Result<std::string> load(const RegisterOptions &options) {
    if (options.live)
        return nixdb::register_live({.target_root = options.target_root, .reginfo = options.reginfo, .forget = options.forget})
            .transform([](const nixdb::LiveReport &report) { return nixdb::describe(report); });
    nixdb::RegisterRequest request{.target_root = options.target_root, .reginfo = options.reginfo};
    // The kernel's command line supplies what the options do not. If the options name a registration, the command line may be
    // bad.
    const auto input = boot_input(options.target_root);
    if (!input && options.reginfo.empty()) return std::unexpected(input.error());
    if (input) {
        if (request.reginfo.empty()) request.reginfo = input->parameters.reginfo;
        request.mode = input->parameters.registration;
        const std::string &init = input->parameters.init;
        request.system = init.substr(0, init.rfind('/'));
    }
    if (options.strict) request.mode = mounts::RegisterMode::strict;
    return nixdb::register_closure(request).transform(
        [](const nixdb::RegisterReport &report) { return nixdb::describe(report); });
}

}  // namespace

void add_register_command(CLI::App &app, int &status) {
    auto options = std::make_shared<RegisterOptions>();
    CLI::App *command = app.add_subcommand("register", "load the closure's registration into the target root's Nix database");
    command->add_option("--target-root", options->target_root, "the mounted root")->capture_default_str();
    command->add_option(
        "--reginfo", options->reginfo,
        "the registration: a path in the target root, else outside it (default: regInfo= of the command line, then "
        "etc/stage1/reginfo in the initrd, then nix-path-registration in the target root)");
    command->add_flag("--strict", options->strict, "refuse when a path of the database is gone from the store");
    auto *live = command->add_flag("--live", options->live, "into the database of a system that runs, beside Nix");
    live->needs("--reginfo");
    command
        ->add_option("--forget", options->forget, "with --live: a file of store paths that are no longer valid if they are gone")
        ->needs(live);
    command->callback([&status, options] {
        status = exit_code(load(*options).transform([](const std::string &line) { std::println("{}", line); }));
    });
}

}  // namespace stage1
