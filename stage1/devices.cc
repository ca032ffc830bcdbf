#include "stage1/devices.h"

#include <memory>
#include <print>

#include "mounts/base/log.h"
#include "stage1/disk/prepare.h"

namespace stage1 {

void add_devices_command(CLI::App &app, int &status) {
    auto request = std::make_shared<DiskRequest>();
    CLI::App *command = app.add_subcommand("devices", "Formats the root disk if, and only if, it is empty.");
    command->add_option("--device", request->device, "The disk")->capture_default_str()->type_name("DEV");
    command->add_option("--label", request->label, "The label of an ext4 that is made")->capture_default_str()->type_name("NAME");
    command->add_flag("--dry-run", request->dry_run, "Say what would be done, and change nothing");
    command->add_flag("--vouched", request->vouched,
                      "The image was created in this run: read where signatures and backups lie, not all of it");
    command->callback([request, &status] {
        const auto outcome = prepare_disk(*request);
        if (!outcome) {
            base::log(outcome.error());
            status = 1;
            return;
        }
        std::println("{}", outcome->description);
        status = 0;
    });
}

}  // namespace stage1
