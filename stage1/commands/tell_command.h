// `stage1 tell ready|exit CODE`: what the running system has to say to the launcher (mounts/protocol.h), from stage 2;
// `stage1 tell failed`: that systemd in the initrd gave up (stage1-emergency.service).
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// When it ran, `status` is its exit code: 0 the launcher took note, 1 there is none, or it did not answer.
void add_tell_command(CLI::App &app, int &status);

}  // namespace stage1
