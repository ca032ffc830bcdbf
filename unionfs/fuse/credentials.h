// What the calling process may do, according to /proc, because the kernel's messages don't say it. This costs system calls, so
// ask only if the answer matters. A process that can't be read counts as having the fewest rights.
#pragma once

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse3/fuse_lowlevel.h>

#include <cstdint>
#include <string>

namespace unionfs {

class Credentials {
  public:
    explicit Credentials(fuse_req_t request);
    // A capability in our user namespace. In a namespace of its own, every process has all of them.
    [[nodiscard]] bool has_capability(unsigned number) const { return (capabilities_ >> number & 1) != 0; }
    [[nodiscard]] bool is_in_group(gid_t group) const;

  private:
    uint64_t capabilities_ = 0;
    gid_t group_;
    std::string groups_;  // from /proc/PID/status
};

}  // namespace unionfs
