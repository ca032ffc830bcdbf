#pragma once

#include <sys/types.h>

namespace unionfs {

// Copies all data of a file, by reflink if the file system can. Skips holes. Returns 0 or an errno.
int copy_data(int from, int to, off_t size, bool has_holes);

}  // namespace unionfs
