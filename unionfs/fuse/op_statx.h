// The one operation that bypasses libfuse.
#pragma once

#include "unionfs/fuse/operations.h"

namespace unionfs {

struct StatxAnswer {
    alignas(8) char bytes[16 + 32 + 256];
    size_t size = 0;
};

// Returns false for any other request, which libfuse handles.
bool answer_statx(Union &fs, const fuse_buf &request, StatxAnswer &answer);

}  // namespace unionfs
