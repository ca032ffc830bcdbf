// The exit statuses of `runvm run`: the guest's own, or whose failure it was. This is the only table; a test compares the
// manual page and `runvm --help` with it.
#pragma once

#include <array>
#include <string_view>

namespace hostside {

// 0 to 119 come from the guest; 128+N means that signal N ended the launcher.
enum ExitCode : int {
    guest_status_limit = 119,  // larger statuses of the guest become this
    stage1_failed = 120,
    guest_panic = 121,
    timed_out = 122,
    qemu_failed = 123,
    launcher_error = 124,
    in_emergency = 125,
    signal_base = 128,
};

struct ExitMeaning {
    ExitCode code;
    std::string_view meaning;
};

inline constexpr std::array<ExitMeaning, 6> exit_meanings{{
    {stage1_failed, "stage 1 failed in the guest"},
    {guest_panic, "the guest's kernel panicked"},
    {timed_out, "the time limit was reached (timeout)"},
    {qemu_failed, "QEMU failed"},
    {launcher_error, "runvm itself failed: a wrong description, a missing file, a taken port"},
    {in_emergency, "the guest's systemd is in emergency mode, and nobody is there to repair it"},
}};

}  // namespace hostside
