// What a guest may still make on this host. It says itself how large what it sends will be, and may lie.
#pragma once

#include <cstdint>

#include "mounts/base/error.h"

namespace hostside {

// For so many more bytes in the file system of `fd`, a hundredth of which, at most 1 GiB, stays free. Error: ENOSPC.
base::Result<> check_room(uint64_t bytes, int fd);

class Allowance {
  public:
    // `most_bytes`: of all that is taken; 0: what there is room for.
    explicit Allowance(uint64_t most_bytes) : most_(most_bytes), left_(most_bytes) {}

    // For a file of this size, a directory or a link, before it is made. `directory`: of the file system that it is made on, of
    // which some room stays for others. Error: EFBIG, ENOSPC.
    base::Result<> take(uint64_t bytes, int directory);

  private:
    uint64_t most_, left_;
};

}  // namespace hostside
