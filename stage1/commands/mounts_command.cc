#include "stage1/commands/mounts_command.h"

#include <sys/mount.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <format>
#include <memory>
#include <ranges>
#include <vector>

#include "mounts/devices/mount_file_system.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/base/initrd.h"
#include "stage1/base/tell_host.h"
#include "stage1/commands/run_phase.h"

namespace stage1 {

namespace {

base::Result<> mount_all(const std::string &target_root) {
    auto input = boot_input(target_root);
    if (!input) return std::unexpected(input.error());
    input->run_goes_along = refuse_outside_initrd("mounts", "").has_value();
    input->root_mounted = !mounts::mounted_type(target_root).empty();
    // A scripted stage 1 already loaded modules, waited and formatted. Repeating these steps is harmless.
    for (const mounts::Phase &phase : {plan_modules(*input), plan_mounts(*input), plan_system(*input)})
        if (auto done = run_aloud(phase); !done) return done;
    // The caller does the rest. If the machine ends after this, the launcher does not report that stage 2 was never reached.
    mention_to_host(std::format("phase {}", name(mounts::protocol::BootPhase::switch_root)));
    return {};
}

// Mounts everything, or undoes its mounts. Earlier mounts stay.
base::Result<> mount_or_undo(const std::string &target_root) {
    std::vector<int> before;
    for (const auto &point : mounts::mounts_beneath(target_root)) before.push_back(point.id);
    auto done = mount_all(target_root);
    if (done) return done;
    for (const auto &point : mounts::mounts_beneath(target_root) | std::views::reverse)
        if (!std::ranges::contains(before, point.id)) (void)::umount2(point.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    return done;
}

base::Result<> mount_where_asked(const std::string &target_root, bool asked) {
    if (auto initrd = refuse_outside_initrd("mounts", "say where with --target-root"); !asked && !initrd) return initrd;
    // Make the path independent of the current directory.
    std::error_code none;
    const auto path = std::filesystem::weakly_canonical(std::filesystem::absolute(target_root), none);
    return mount_or_undo(none ? target_root : path.string());
}

}  // namespace

void add_mounts_command(CLI::App &app, int &status) {
    auto target_root = std::make_shared<std::string>(mounts::protocol::default_target_root);
    CLI::App *command = app.add_subcommand("mounts", "mount the file systems and the store's union, mark the machine as NixOS");
    CLI::Option *asked =
        command->add_option("--target-root", *target_root, "where the root is or will be mounted")->capture_default_str();
    command->callback([&status, target_root, asked] {
        while (target_root->size() > 1 && target_root->ends_with('/')) target_root->pop_back();
        status = exit_code(mount_where_asked(*target_root, asked->count() > 0));
    });
}

}  // namespace stage1
