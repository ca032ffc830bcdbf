// Where a line of ours goes. In the guest: /dev/kmsg, one write a record with its priority, so that it stands in order
// among the kernel's own and survives in dmesg. Elsewhere, and until /dev/kmsg is there: stderr.
// Called by main.cc files and stage1/init/init.cc only; libraries return errors.
#pragma once

#include <string_view>

#include "mounts/base/error.h"

namespace base {

enum class Priority { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };  // syslog's numbers (syslog(3))

// Sends what follows to /dev/kmsg, prefixed `stage1: `. ENOENT before devtmpfs is mounted.
Result<> log_to_kmsg();

void log(Priority priority, std::string_view text);
void log(const Error &error);

}  // namespace base
