// What the process that asked may do, as /proc tells it: what the kernel's messages leave out. Costs system calls, so it is
// asked only where something hangs on it. Of a process that can't be looked at the least is taken for true.
#pragma once

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse3/fuse_lowlevel.h>

#include <cstdint>
#include <string>

namespace unionfs {

class Credentials {
  public:
    explicit Credentials(fuse_req_t request);
    // A capability in our user namespace: in one of its own everybody has all.
    [[nodiscard]] bool has_capability(unsigned number) const { return (capabilities_ >> number & 1) != 0; }
    [[nodiscard]] bool is_in_group(gid_t group) const;

  private:
    uint64_t capabilities_ = 0;
    gid_t group_;
    std::string groups_;  // the line of /proc/PID/status
};

}  // namespace unionfs
