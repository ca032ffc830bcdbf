// Copies file content between descriptors that the caller keeps.
#pragma once

#include <sys/types.h>

namespace unionfs {

// Copies the first `size` bytes, by reflink if the file system can. Skips holes if `has_holes`. Returns 0 or an errno.
int copy_data(int from, int to, off_t size, bool has_holes);

}  // namespace unionfs
