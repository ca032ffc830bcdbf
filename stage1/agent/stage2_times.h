// Sends the host, for its report, when systemd began and when it had started everything. Stage 1's own report ends with the
// hand-over.
#pragma once

#include <string>
#include <string_view>

namespace stage1 {

// The line for the status port, `stage2 BEGIN END`, in microseconds since the kernel began. `shown` is the output of `systemctl
// show`. Empty: systemd is not done yet. Pure.
std::string stage2_line(std::string_view shown);

// Does this in a new process, which ends after sending the line, or after ten minutes without systemd. systemctl is looked for
// in `system` first.
void tell_stage2_times(const std::string &system);

}  // namespace stage1
