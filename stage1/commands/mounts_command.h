// `stage1 mounts --target-root DIR`: mounts the file systems and the union and marks the root as NixOS, for a scripted stage 1
// (postMountCommands) and systemd (stage1-mounts.service). A second run changes nothing.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand. It sets `status` to the exit code: 0 everything is mounted, 1 the message says what is not.
void add_mounts_command(CLI::App &app, int &status);

}  // namespace stage1
