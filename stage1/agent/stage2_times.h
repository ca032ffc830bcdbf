// When systemd began and when it had started all that it was to start, told to the host for its report. Stage 1's own report ends
// with the hand-over; what comes after, only the system itself knows.
#pragma once

#include <string>
#include <string_view>

namespace stage1 {

// The line for the status port, `stage2 BEGIN END` in microseconds since the kernel began, from what `systemctl show` says;
// empty: not all is started yet. Pure.
std::string stage2_line(std::string_view shown);

// In a process of its own, which ends when it has told or when no systemd came. `system`: where systemctl is looked for first.
void tell_stage2_times(const std::string &system);

}  // namespace stage1
