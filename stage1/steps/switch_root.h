// Hands over to stage 2: switch_root(8) without a second program.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Finds the program that starts stage 2 and checks that it is executable in `target_root`. Changes nothing. It is `init`, or
// `prepare-root` in the same directory, with symlinks resolved in the target root: in a NixOS made for systemd in the initrd,
// `init` is systemd itself, and that script activates the system and then starts systemd. Error: such a system without the
// script.
base::Result<std::string> find_stage2(const std::string &target_root, const std::string &init);

// Moves /proc, /sys, /dev and /run into the target root, makes it "/", frees the initramfs and executes the program that
// find_stage2 returns. The agent keeps running next to it; with AgentMode::only, PID 1 becomes the agent instead. Returns only
// on failure. A failure before the root moves leaves everything in place.
base::Error switch_root(const mounts::SwitchRoot &step);

}  // namespace stage1
