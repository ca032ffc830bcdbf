#include "stage1/commands/mounts_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "mounts/devices/mount_file_system.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/commands/hook.h"

namespace stage1 {

namespace {

base::Result<> mount_all(const std::string &target_root) {
    auto sources = read_boot_sources();
    if (!sources) return std::unexpected(sources.error());
    auto input = boot_input(*sources, target_root);
    if (!input) return std::unexpected(input.error());
    input->root_mounted = !mounts::mounted_type(target_root).empty();
    // A scripted stage 1 has loaded modules, waited and formatted before; done again, each finds it done.
    for (const mounts::Phase &phase : {plan_modules(*input), plan_mounts(*input), plan_system(*input)})
        if (auto done = run_aloud(phase); !done) return done;
    return {};
}

}  // namespace

void add_mounts_command(CLI::App &app, int &status) {
    auto target_root = std::make_shared<std::string>(mounts::protocol::default_target_root);
    CLI::App *command = app.add_subcommand("mounts", "mount the file systems and the store's union, mark the machine as NixOS");
    command->add_option("--target-root", *target_root, "where the root is, or is to be, mounted")->capture_default_str();
    command->callback([&status, target_root] {
        while (target_root->size() > 1 && target_root->ends_with('/')) target_root->pop_back();
        status = exit_code(mount_all(*target_root));
    });
}

}  // namespace stage1
