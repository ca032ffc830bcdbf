#include "hostside/cli/boot_disk_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "hostside/cli/arguments.h"
#include "hostside/cli/boot_disk.h"
#include "hostside/cli/reporter.h"

namespace hostside {

void add_boot_disk_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App *command = app.add_subcommand("boot-disk", "make a system's boot disk");
    add_description_flags(*command, *arguments);
    command->callback([&status, arguments] {
        add_setting(*arguments, "useBootLoader", "true");
        const auto machine = machine_of(*arguments);
        status = machine ? make_boot_disk(*machine, false) : refuse(machine.error());
    });
}

}  // namespace hostside
