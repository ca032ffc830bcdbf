// The first thing that PID 1 does: mounts the kernel's file systems and opens the console.
#pragma once

#include "mounts/base/error.h"

namespace stage1 {

// Mounts /proc, /sys, /dev (devtmpfs), /dev/pts and /run unless they are mounted, and connects stdin, stdout and stderr to
// /dev/console. The Error is for /proc, /sys or /dev, because nothing works without these.
base::Result<> mount_early();

}  // namespace stage1
