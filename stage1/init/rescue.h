// What PID 1 does when the boot cannot continue. It first prints the whole message on the console. Then it follows the policy
// of the kernel parameters: panic, or NixOS's menu (i / f / t / r / any other key).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/boot_parameters.h"
#include "stage1/rescue/prompt.h"

namespace stage1 {

// Prints the error and follows the policy. Returns the choice of the person at the console: to continue after the failed step,
// or to retry it if `scene` allows that. Does not return under panic_on_fail or when the person asks for a reboot.
[[nodiscard]] Answer fail_boot(const base::Error &error, const mounts::BootParameters &parameters, const Scene &scene = {});

// For boot.debug1 and similar parameters and stage1.break=: runs the initrd's shell on the console, or the built-in prompt if
// it has none.
Answer stop_at(const std::string &where, const mounts::BootParameters &parameters, const Scene &scene);

// For a second terminal: runs the initrd's shell or the built-in prompt in a process that owns the terminal. Returns the exit
// status.
int shell_aside(Scene scene);

// Never returns and never exits. Flushes the console and panics the kernel; if that is impossible, reboots or waits forever.
[[noreturn]] void panic();

}  // namespace stage1
