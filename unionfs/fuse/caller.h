// While it lives, this thread makes files as the process that asked: its user, group and umask, but with all our
// capabilities, because the kernel has checked the permissions already. Needs a thread of its own (unshare(CLONE_FS)).
#pragma once

#include <sys/types.h>

namespace unionfs {

class Caller {
  public:
    Caller(bool privileged, uid_t uid, gid_t gid, mode_t umask);
    ~Caller();
    Caller(const Caller &) = delete;
    Caller &operator=(const Caller &) = delete;

  private:
    bool changed_ = false;
};

}  // namespace unionfs
