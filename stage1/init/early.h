// The first thing PID 1 does: the kernel's own file systems and a console to speak on.
#pragma once

#include "mounts/base/error.h"

namespace stage1 {

// Mounts /proc, /sys, /dev (devtmpfs), /dev/pts and /run where they are not mounted yet, and points stdin, stdout and
// stderr at /dev/console. The Error is for /proc, /sys or /dev, without which nothing further can work.
base::Result<> mount_early();

}  // namespace stage1
