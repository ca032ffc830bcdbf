// A request as it comes from the kernel: where it is read to, and what of it libfuse's callbacks don't get to see.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unionfs/fuse/operations.h"

namespace unionfs {

// The kernel's number for the request; 0 if it is too short to have one.
uint64_t unique_of(const fuse_buf &request);

// Whether set-user-ID bits are to be dropped.
bool wants_kill(const fuse_buf &request);

// What a thread reads requests into. A page of it that is not there yet when the process is killed in the middle of a read
// costs the client an EIO: the kernel can't fault it in for a dying thread. So it is there as far as requests reach.
class RequestBuffer {
  public:
    RequestBuffer();
    ~RequestBuffer();
    RequestBuffer(const RequestBuffer &) = delete;
    RequestBuffer &operator=(const RequestBuffer &) = delete;

    fuse_buf ready_for(size_t bytes);

    static constexpr size_t first_bytes = size_t{136} << 10;  // a write of 128 KiB, as cp(1) makes them

  private:
    void *mem_;
    size_t resident_ = 0;
};

}  // namespace unionfs
