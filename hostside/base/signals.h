// Signals as a descriptor, so that one poll waits for everything. Blocks the signals during its lifetime. base::start resets
// the mask in children.
#pragma once

#include <csignal>
#include <span>
#include <string_view>

#include "mounts/base/fd.h"

namespace hostside {

class Signals {
  public:
    // Without signals, blocks nothing, and fd() is -1, which poll(2) ignores.
    explicit Signals(std::span<const int> wanted);
    ~Signals() { (void)::sigprocmask(SIG_SETMASK, &old_, nullptr); }
    Signals(const Signals &) = delete;
    Signals &operator=(const Signals &) = delete;

    [[nodiscard]] int fd() const { return fd_.get(); }

    // The next pending signal; 0: none.
    [[nodiscard]] int take() const;

  private:
    sigset_t old_{};
    base::Fd fd_;
};

// Writes to a pipe whose reader may be gone, which must not end us (SIGPIPE).
void tell_reader(int pipe, std::string_view text);

}  // namespace hostside
