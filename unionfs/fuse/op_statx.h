// The one operation that comes to us without libfuse.
#pragma once

#include "unionfs/fuse/operations.h"

namespace unionfs {

struct StatxAnswer {
    alignas(8) char bytes[16 + 32 + 256];
    size_t size = 0;
};

// False: that is another request, and libfuse's.
bool answer_statx(Union &fs, const fuse_buf &request, StatxAnswer &answer);

}  // namespace unionfs
