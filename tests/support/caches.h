// The kernel's caches of names and inodes are one for the machine: who counts what a warm one saves keeps others from
// dropping them meanwhile.
#pragma once

#include "mounts/base/fd.h"

namespace support {

// While it lives nobody drops them by drop_caches().
class CachesKept {
  public:
    CachesKept();

  private:
    base::Fd lock_;
};

// Names and inodes, not pages. Waits for those who keep them.
void drop_caches();

}  // namespace support
