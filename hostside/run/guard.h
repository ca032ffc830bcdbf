// QEMU dies with its launcher by the kernel's hand (prctl(2), PR_SET_PDEATHSIG), but not when it has become another user:
// the kernel forgets the signal then. So a process stays beside it that waits for the end of either, and ends QEMU when the
// launcher is gone, whatever killed that.
#pragma once

#include <sys/types.h>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class Guard {
  public:
    // `qemu`: a child of ours that nobody has waited for.
    static base::Result<Guard> beside(pid_t qemu);
    Guard(Guard &&other) noexcept;
    Guard &operator=(Guard &&) = delete;
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;
    ~Guard();

  private:
    Guard(pid_t pid, base::Fd life);
    pid_t pid_;
    base::Fd life_;  // closed by our end
};

}  // namespace hostside
