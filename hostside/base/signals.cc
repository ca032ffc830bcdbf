#include "hostside/base/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <ctime>

#include "mounts/base/at.h"

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

void tell_reader(int pipe, std::string_view text) {
    sigset_t broken_pipe, old;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    (void)::sigprocmask(SIG_BLOCK, &broken_pipe, &old);
    constexpr timespec at_once{};
    if (!base::write_all(pipe, text, "pipe")) (void)::sigtimedwait(&broken_pipe, nullptr, &at_once);
    (void)::sigprocmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace hostside
