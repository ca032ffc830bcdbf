// fuse.enable_uring: whether the kernel offers an io_uring to new FUSE mounts. The parameter affects the whole machine, so a
// lock keeps tests with different values from running at the same time.
#pragma once

#include <string>

#include "mounts/base/fd.h"

namespace support {

// The reason why requests can't come over io_uring here; empty if they can.
std::string missing_io_uring();

// While this object lives the parameter is `allowed`. A mount keeps the value from when it was made.
class Rings {
  public:
    explicit Rings(bool allowed);
    ~Rings();  // true stays set until the tests end, or until a test needs false
    Rings(const Rings &) = delete;
    Rings &operator=(const Rings &) = delete;

  private:
    base::Fd lock_;
    std::string before_;
    bool allowed_;
};

}  // namespace support
