// `stage1 devices`: the disk rule as a command (a scripted stage 1's postDeviceCommands, systemd's
// stage1-devices.service). The rule itself is in stage1/disk/.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand; when it ran, `status` is its exit code: 0 formatted or kept, 1 refused or failed.
void add_devices_command(CLI::App &app, int &status);

}  // namespace stage1
