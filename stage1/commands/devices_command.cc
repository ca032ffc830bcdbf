#include "stage1/commands/devices_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <print>

#include "mounts/devices/find_device.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/base/initrd.h"
#include "stage1/base/tell_host.h"
#include "stage1/commands/generator.h"
#include "stage1/commands/run_phase.h"
#include "stage1/disk/prepare_disk.h"
#include "stage1/steps/scan_progress.h"

namespace stage1 {

namespace {

using base::Result;

// The link is for the sysroot.mount that stage1-generator wrote. A root without a device needs none.
Result<> link_root(const std::string &source) {
    const auto device = mounts::find_device(source);
    if (!device) return {};
    const std::string link(root_link);
    (void)::mkdir(link.substr(0, link.rfind('/')).c_str(), 0755);  // if this fails, symlink reports it
    (void)::unlink(link.c_str());                                  // from an earlier run
    if (::symlink(device->c_str(), link.c_str()) < 0) return base::fail(errno, "link", link);
    return {};
}

// Everything that init does before it mounts.
Result<> make_ready() {
    if (auto initrd = refuse_outside_initrd("devices", "name one disk with --device"); !initrd) return initrd;
    auto input = boot_input(std::string(mounts::protocol::default_target_root));
    if (!input) return std::unexpected(input.error());
    for (const mounts::Phase &phase : {plan_modules(*input), plan_devices(*input)})
        if (auto done = run_aloud(phase); !done) return done;
    return link_root(input->file_systems.front().source);
}

// For the unit of NixOS's module, which names the disk: whether the launcher vouches for that disk.
bool vouched_by_launcher(const std::string &device) {
    if (!refuse_outside_initrd("devices", "")) return false;
    const auto input = boot_input(std::string(mounts::protocol::default_target_root));
    if (!input || input->parameters.fresh_disk.empty()) return false;
    const auto fresh = mounts::find_device("serial=" + input->parameters.fresh_disk);
    std::error_code error;
    const auto node = std::filesystem::canonical(device, error);
    return fresh && !error && *fresh == node && still_vouched();
}

Result<> prepare_one(DiskRequest request) {
    request.vouched = request.vouched || (!request.dry_run && vouched_by_launcher(request.device));
    request.progress = tell_scan_of(request.device);
    return prepare_disk(request).transform([](const DiskOutcome &outcome) { std::println("{}", outcome.description); });
}

}  // namespace

void add_devices_command(CLI::App &app, int &status) {
    auto request = std::make_shared<DiskRequest>();
    CLI::App *command =
        app.add_subcommand("devices", "load modules, wait for devices, format the root disk if, and only if, it is empty");
    CLI::Option *device =
        command->add_option("--device", request->device, "this disk alone, whatever root= says")->type_name("DEV");
    for (CLI::Option *of_one :
         {command->add_option("--label", request->label, "the label of an ext4 that is made")
              ->capture_default_str()
              ->type_name("NAME"),
          command->add_flag("--dry-run", request->dry_run, "say what would be done, and change nothing"),
          command->add_flag("--vouched", request->vouched,
                            "nothing was ever written to its image: read where signatures and backups lie, not all of it")})
        of_one->needs(device);
    command->callback(
        [request, device, &status] { status = exit_code(device->count() > 0 ? prepare_one(*request) : make_ready()); });
}

}  // namespace stage1
