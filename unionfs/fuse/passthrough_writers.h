// Files that the kernel writes to by itself (passthrough). Writing through a mapping changes a file's times, even after its
// descriptor was closed. Neither we nor the kernel's cached attributes notice that. So the kernel may not cache the attributes
// of such a file while anyone has it open for writing.
#pragma once

#include "unionfs/tree/union.h"

namespace unionfs {

// Call this before the kernel gets a file to write to. The Node is locked.
void begin_passthrough_writes(Union &fs, Node &node, bool is_new);

// Call this before reading attributes that the kernel may keep. It checks whether the last writer is gone.
void end_passthrough_writes(Union &fs, Node &node);

}  // namespace unionfs
