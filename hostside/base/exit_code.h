// What `runvm run` says by its exit status: the guest's own, or who failed. The one table of it; the manual page and
// `runvm --help` are held to it by a test.
#pragma once

#include <array>
#include <string_view>

namespace hostside {

// 0 to 119 are the guest's own, and 128+N is a launcher ended by signal N.
enum ExitCode : int {
    guest_status_limit = 119,  // a larger status of the guest's is told as this
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
    {timed_out, "the time was up (timeout)"},
    {qemu_failed, "QEMU failed"},
    {launcher_error, "runvm itself: a wrong description, a missing file, a taken port"},
    {in_emergency, "the guest's systemd is in emergency mode, and nobody is there to mend it"},
}};

}  // namespace hostside
