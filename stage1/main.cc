// stage1: the program in the initrd. Which job it does is told by its name (init, unionfs, modprobe) or its first word.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <print>

#include "mounts/base/log.h"
#include "stage1/devices.h"
#include "stage1/register.h"

namespace {

int command_line(int argc, char **argv) {
    CLI::App app{"Stage 1 of a NixOS virtual machine: devices, mounts, registration, switch_root.", "stage1"};
    app.set_version_flag("--version", "stage1 " STAGE1_VERSION);
    app.require_subcommand(1);
    int status = 0;
    stage1::add_devices_command(app, status);
    stage1::add_register_command(app, status);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        // CLI11's own codes are many; ours are 0 and 1 for what was done, 2 for a command line that is wrong.
        return app.exit(error) == 0 ? 0 : 2;
    }
    return status;
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return command_line(argc, argv);
    } catch (const std::exception &error) {
        base::log(base::Priority::error, std::string("stage1: a bug, please report it: ") + error.what());
        return 70;
    }
}
