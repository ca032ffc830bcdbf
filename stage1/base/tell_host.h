// The virtio-serial port on which the guest reports to the launcher (mounts/protocol.h: lines, each answered with `ack`). A
// machine without this port was not started by runvm, and nobody listens. The port is opened once and stays open: no other
// process can open it until this one ends, executes another program, or calls hang_up().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace stage1 {

// Sends one line and waits for the acknowledgement, with a time limit. Error: no port, another process has it, or no answer.
base::Result<> tell_host(std::string_view line);

// Whether the launcher still vouches that nothing was ever written to a disk (stage1.fresh-disk=). That parameter survives a
// reboot of the guest, so stage1 asks again, and the launcher says yes once per run. No answer means no.
bool still_vouched();

// Sends one line that has no answer. Does nothing if there is no port yet.
void mention_to_host(std::string_view line);

// Sends stage 1's report, which replaces the previous one. Each record is a JSON object of at most `report_line_bytes`. No
// answer.
inline constexpr size_t report_line_bytes = 4096 - sizeof "report";
void send_report(const std::vector<std::string> &records);

// Closes the port, for stage 2. A later message opens it again.
void hang_up();

}  // namespace stage1
