// `stage1 tell ready|exit CODE`: sends messages of the running system to the launcher (mounts/protocol.h), from stage 2.
// `stage1 tell failed`: reports that systemd in the initrd gave up (stage1-emergency.service).
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand. It sets `status` to the exit code: 0 the launcher acknowledged, 1 there is none, or it did not answer.
void add_tell_command(CLI::App &app, int &status);

}  // namespace stage1
