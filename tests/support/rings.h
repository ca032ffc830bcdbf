// fuse.enable_uring: whether the kernel gives a new FUSE mount an io_uring. It is one for the whole machine, so tests that
// run at once keep it apart by a lock.
#pragma once

#include <string>

#include "mounts/base/fd.h"

namespace support {

// The reason why requests can't come over io_uring here; empty when they can.
std::string missing_io_uring();

// While it lives the parameter is `allowed`. A mount keeps what it found when it was made.
class Rings {
  public:
    explicit Rings(bool allowed);
    ~Rings();  // true stays until the tests end, or until who needs false has his turn
    Rings(const Rings &) = delete;
    Rings &operator=(const Rings &) = delete;

  private:
    base::Fd lock_;
    std::string before_;
    bool allowed_;
};

}  // namespace support
