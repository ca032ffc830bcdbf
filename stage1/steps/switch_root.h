// Handing over to stage 2: switch_root(8) without a second program.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// The program that stage 2 begins with, proven to be executable in `target_root`; nothing is changed. It is `init`, or
// `prepare-root` beside it, symlinks resolved within the target root: in a NixOS made for systemd in the initrd `init` is systemd
// itself, and that script is what activates the system and then starts it. Error: such a system without the script.
base::Result<std::string> find_stage2(const std::string &target_root, const std::string &init);

// Moves /proc, /sys, /dev and /run into the target root, makes it "/", frees the initramfs and executes the program that
// find_stage2 names, beside which the agent runs from then on; with AgentMode::only it becomes the agent instead. Returns only on
// failure. Up to the move of the root, a failure leaves everything in place.
base::Error switch_root(const mounts::SwitchRoot &step);

}  // namespace stage1
