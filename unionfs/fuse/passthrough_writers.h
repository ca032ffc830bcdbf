// Files that the kernel writes to by itself (passthrough). Writing through a mapping changes a file's times, even after its
// descriptor was closed. Neither we nor the kernel's cached attributes notice that. So the kernel may not cache the attributes
// of such a file while anyone has it open for writing.
#pragma once

#include "unionfs/fuse/operations.h"

namespace unionfs {

// Gives the kernel a file to read and write. Returns its number there; 0 or less: it took none. The kernel writes with the
// capabilities that the thread has now. With CAP_FSETID, a file that becomes set-ID while it is open would stay so.
int open_backing_file(fuse_req_t request, int fd);

// Call this before the kernel gets a file to write to. The Node is locked.
void begin_passthrough_writes(Union &fs, Node &node, bool is_new);

// Call this before reading attributes that the kernel may keep. It checks whether the last writer is gone.
void end_passthrough_writes(Union &fs, Node &node);

}  // namespace unionfs
