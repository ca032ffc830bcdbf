// Serves a mounted /dev/fuse until it is unmounted. Threads read the requests, and libfuse decodes them.
#pragma once

#include <functional>

#include "mounts/base/error.h"
#include "unionfs/fuse/fuse_device.h"
#include "unionfs/tree/union.h"

namespace unionfs {

// Returns after the unmount. `ready` is called once, when requests are being answered.
base::Result<> serve(Union &fs, const FuseDevice &device, Mode mode, const std::function<void()> &ready);

}  // namespace unionfs
