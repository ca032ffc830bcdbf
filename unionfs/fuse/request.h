// A request from the kernel: the buffer it is read into, and the parts that libfuse's callbacks don't see.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unionfs/fuse/operations.h"

namespace unionfs {

// The kernel's number for the request; 0 if it is too short to have one.
uint64_t unique_of(const fuse_buf &request);

// Whether the kernel wants set-ID bits dropped.
bool wants_kill(const fuse_buf &request);

// The buffer into which a thread reads requests. If a page of it is missing when the process is killed during a read, the
// client gets EIO, because the kernel can't fault pages in for a dying thread. So its pages are populated as far as requests
// reach.
class RequestBuffer {
  public:
    RequestBuffer();
    ~RequestBuffer();
    RequestBuffer(const RequestBuffer &) = delete;
    RequestBuffer &operator=(const RequestBuffer &) = delete;

    fuse_buf ready_for(size_t bytes);

    static constexpr size_t first_bytes = size_t{136} << 10;  // enough for a 128 KiB write, which cp(1) makes

  private:
    void *mem_;
    size_t resident_ = 0;
};

}  // namespace unionfs
