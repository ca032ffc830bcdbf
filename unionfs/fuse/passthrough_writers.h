// Files that the kernel writes to by itself (passthrough). Writing through a mapping changes a file's times, also after its
// descriptor was closed. Neither we nor what the kernel has cached of its attributes learn of that. So the kernel may not
// keep the attributes of such a file until nobody has it open for writing any more.
#pragma once

#include "unionfs/tree/union.h"

namespace unionfs {

// Before the kernel gets the file to write to. The Node is locked.
void begin_passthrough_writes(Union &fs, Node &node, bool is_new);

// Before attributes are read that the kernel may keep: looks whether the last writer is gone.
void end_passthrough_writes(Union &fs, Node &node);

}  // namespace unionfs
