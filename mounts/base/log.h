// Where log lines go. In the guest: to /dev/kmsg, one write per record, with its priority, so that they appear in order among
// the kernel's lines and stay in dmesg. Elsewhere, and until /dev/kmsg exists: to stderr. Only the main.cc files and
// stage1/init/init.cc call this; libraries return errors.
#pragma once

#include <string_view>

#include "mounts/base/error.h"

namespace base {

enum class Priority { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };  // numbers of syslog(3)

// Sends later lines to /dev/kmsg, with the prefix `stage1: `. ENOENT before devtmpfs is mounted.
Result<> log_to_kmsg();

void log(Priority priority, std::string_view text);
void log(const Error &error);

}  // namespace base
