// `stage1 mounts --target-root DIR`: the file systems, the union, the marks of a NixOS root, for a scripted stage 1
// (postMountCommands) and systemd (stage1-mounts.service). Twice in a row changes nothing.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// When it ran, `status` is its exit code: 0 everything is mounted, 1 the message says what is not.
void add_mounts_command(CLI::App &app, int &status);

}  // namespace stage1
