// What PID 1 does when the boot cannot go on. The message is on the console in full before anything else happens; then
// the policy of the kernel parameters: panic, or NixOS's menu (i / f / t / r / anything else).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/boot_parameters.h"
#include "stage1/rescue/prompt.h"

namespace stage1 {

// Tells and obeys the policy. Returns what the person at the console chose: to go on past the failed step, or to try it again
// where `scene` says that it can be. Under panic_on_fail, or when the person asks for a reboot, it does not return.
[[nodiscard]] Answer fail_boot(const base::Error &error, const mounts::BootParameters &parameters, const Scene &scene = {});

// boot.debug1 and its kin, stage1.break=: the initrd's shell on the console, or the built-in prompt where it has none.
Answer stop_at(const std::string &where, const mounts::BootParameters &parameters, const Scene &scene);

// For a second terminal, in a process of its own whose terminal that is: the initrd's shell, or the built-in prompt. Its exit
// status.
int shell_aside(Scene scene);

// Never returns, never exits: panics the kernel after the console is flushed, else halts with everything said.
[[noreturn]] void panic();

}  // namespace stage1
