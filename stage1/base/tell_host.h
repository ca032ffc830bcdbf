// The virtio-serial port by which the launcher hears how the guest fares (mounts/protocol.h: lines, each answered with
// `ack`). A machine without that port was not started by runvm: then there is nobody to tell. It is opened once and stays
// open: no other process can have it until this one ends, becomes another program, or hangs up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace stage1 {

// Sends one line and waits for its acknowledgement, a bounded time. Error: no port, somebody else has it, or no answer.
base::Result<> tell_host(std::string_view line);

// A launcher says of a disk that nothing was ever written to it (stage1.fresh-disk=) in words that a reboot of the guest finds
// again. So it is asked, and says yes once a run. Who can't be asked does not.
bool still_vouched();

// Sends one line that has no answer. Nothing when there is no port, or not yet.
void mention_to_host(std::string_view line);

// Sends stage 1's report, a JSON object each of at most `report_line_bytes`, in the place of the one before. No answer.
inline constexpr size_t report_line_bytes = 4096 - sizeof "report";
void send_report(const std::vector<std::string> &records);

// Stops until the launcher has saved the machine and a fork of it was started: what the fork is told (after `forked `). Error:
// nobody makes a snapshot of this machine.
base::Result<std::string> wait_for_fork();

// Closes it, for stage 2; who speaks again opens it again.
void hang_up();

}  // namespace stage1
