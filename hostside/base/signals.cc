#include "hostside/base/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace hostside {

Signals::Signals(std::span<const int> wanted) {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : wanted) sigaddset(&set, s);
    (void)::sigprocmask(SIG_BLOCK, &set, &old_);
    if (!wanted.empty()) fd_ = base::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int Signals::take() const {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace hostside
