// What PID 1 does when the boot cannot go on. The message is on the console in full before anything else happens; then
// the policy of the kernel parameters: panic, shell, or NixOS's menu (i / f / r / anything else).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/boot_parameters.h"

namespace stage1 {

// Tells and obeys the policy. Returns when the person at the console chose to go on past the failed step. Under panic_on_fail, or
// when the person asks for a reboot, it does not return.
void fail_boot(const base::Error &error, const mounts::BootParameters &parameters);

// boot.debug1 and its kin, stage1.break=: a shell on the console, then on with the boot.
void stop_at(const std::string &where, const mounts::BootParameters &parameters);

// Never returns, never exits: panics the kernel after the console is flushed, else halts with everything said.
[[noreturn]] void panic();

}  // namespace stage1
