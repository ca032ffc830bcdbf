// Decides what QEMU's end means if nothing before it decided the run: neither the guest's exit status nor a time limit, a signal
// or a lost program. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hostside/qemu/events.h"
#include "hostside/run/run_event.h"

namespace hostside {

struct QemuEnd {
    int status = 0;                              // as base::exit_code() returns it
    bool panicked = false;                       // QEMU reported a panic of the guest's kernel
    bool console_ends_in_panic = false;          // the console's last lines are a panic
    bool nothing_to_boot = false;                // the firmware said so on the console
    bool out_of_memory = false;                  // the host's kernel logged that it killed QEMU
    QemuEvent::Kind request = QemuEvent::other;  // what the guest requested last
    std::string stage1_phase{};                  // the phase that stage 1 was in; empty: none, or stage 1 is done
    std::optional<RunEvent> lost_companion{};    // a program that QEMU needs ended before it
    std::string output{};                        // what QEMU printed
};

struct Verdict {
    int code = 0;  // runvm's exit code
    std::vector<RunEvent> events{};
};

Verdict verdict_of(const QemuEnd &end);

// For a firmware that found no boot loader.
RunEvent nothing_to_boot_event();

}  // namespace hostside
