// Files that the kernel writes to by itself (passthrough). What is written through a mapping changes their times without a
// word to us, or to what the kernel keeps of their attributes, also after the descriptor was closed. So of such a file the
// kernel is told what holds for the moment, until nobody has it open for writing any more.
#pragma once

#include "unionfs/tree/union.h"

namespace unionfs {

// Before the kernel gets the file to write to. The Node is locked.
void begin_written_through(Union &fs, Node &node, bool is_new);

// Before attributes are read that the kernel may keep: looks whether the last writer is gone.
void end_written_through(Union &fs, Node &node);

}  // namespace unionfs
