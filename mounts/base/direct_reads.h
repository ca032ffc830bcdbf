// Sets O_DIRECT on a descriptor during this object's lifetime, if the file supports it. Reads then bypass the page cache, so
// the cache does not grow. Offsets, lengths and buffers must be multiples of the device's logical sector; otherwise a read is
// EINVAL.
#pragma once

#include <fcntl.h>

namespace base {

class DirectReads {
  public:
    explicit DirectReads(int fd) : fd_(fd), flags_(::fcntl(fd, F_GETFL)) { (void)::fcntl(fd_, F_SETFL, flags_ | O_DIRECT); }
    DirectReads(const DirectReads &) = delete;
    DirectReads &operator=(const DirectReads &) = delete;
    ~DirectReads() { (void)::fcntl(fd_, F_SETFL, flags_); }

  private:
    int fd_, flags_;
};

}  // namespace base
