// The whole machine shares the kernel's caches of names and inodes. A test that counts what a warm cache saves has to keep
// other tests from dropping them.
#pragma once

#include "mounts/base/fd.h"

namespace support {

// While this object lives, drop_caches() waits.
class CachesKept {
  public:
    CachesKept();

  private:
    base::Fd lock_;
};

// Drops names and inodes, not pages. Waits while a test keeps them.
void drop_caches();

}  // namespace support
