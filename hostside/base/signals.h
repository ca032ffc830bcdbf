// Signals as a descriptor, so that one poll waits for everything. They are blocked for as long as it lives; a child begins with
// that mask (see base::spawn, which restores it).
#pragma once

#include <csignal>
#include <span>

#include "mounts/base/fd.h"

namespace hostside {

class Signals {
  public:
    // None: nothing is blocked, and fd() is -1, which poll(2) passes over.
    explicit Signals(std::span<const int> wanted);
    ~Signals() { (void)::sigprocmask(SIG_SETMASK, &old_, nullptr); }
    Signals(const Signals &) = delete;
    Signals &operator=(const Signals &) = delete;

    [[nodiscard]] int fd() const { return fd_.get(); }

    // The next that came; 0: no more.
    [[nodiscard]] int take() const;

  private:
    sigset_t old_{};
    base::Fd fd_;
};

}  // namespace hostside
