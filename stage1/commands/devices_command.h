// `stage1 devices`: the disk rule as a command, for a scripted stage 1 (postDeviceCommands) and systemd
// (stage1-devices.service). The rule itself is in stage1/disk/.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand. It sets `status` to the exit code: 0 formatted or kept, 1 refused or failed.
void add_devices_command(CLI::App &app, int &status);

}  // namespace stage1
