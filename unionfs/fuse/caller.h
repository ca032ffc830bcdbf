// While this object lives, its thread makes files as the calling process: with its user, group and umask. It keeps all our
// capabilities, because the kernel has already checked the permissions. Call it in a thread that did unshare(CLONE_FS), which
// gives the thread a umask of its own.
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
