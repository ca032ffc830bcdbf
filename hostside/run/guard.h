// Kills QEMU when its launcher dies. Usually the kernel does that (prctl(2), PR_SET_PDEATHSIG), but it clears the signal when
// QEMU becomes another user. So a guard process waits for the end of either one, and kills QEMU if the launcher is gone for any
// reason.
#pragma once

#include <sys/types.h>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class Guard {
  public:
    // `qemu`: a child that was not waited for yet.
    static base::Result<Guard> beside(pid_t qemu);
    Guard(Guard &&other) noexcept;
    Guard &operator=(Guard &&) = delete;
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;
    ~Guard();

  private:
    Guard(pid_t pid, base::Fd life);
    pid_t pid_;
    base::Fd life_;  // closes when the launcher ends
};

}  // namespace hostside
