#include "hostside/run/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

namespace hostside {

bool at_terminal(int fd) {
    if (::isatty(fd) != 1) return false;
    // A terminal of another session (ENOTTY) has no foreground group that we could be outside of.
    const pid_t foreground = ::tcgetpgrp(fd);
    return foreground < 0 || foreground == ::getpgrp();
}

bool somebody_may_type() {
    struct stat st{};
    if (::fstat(STDIN_FILENO, &st) < 0 || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))) return false;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return ::poll(&input, 1, 0) == 0;
}

Terminal::Terminal() {
    for (size_t i = 0; i < flags_.size(); ++i) flags_[i] = ::fcntl(static_cast<int>(i), F_GETFL);
    is_terminal_ = at_terminal(STDIN_FILENO) && ::tcgetattr(STDIN_FILENO, &settings_) == 0;
}

Terminal::~Terminal() {
    for (size_t i = 0; i < flags_.size(); ++i)
        if (flags_[i] >= 0) (void)::fcntl(static_cast<int>(i), F_SETFL, flags_[i]);
    if (!is_terminal_ || !at_terminal(STDIN_FILENO)) return;
    // If we get into the background right now, SIGTTOU would stop us before the settings are restored (termios(3)).
    sigset_t ttou, old;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    (void)::sigprocmask(SIG_BLOCK, &ttou, &old);
    (void)::tcsetattr(STDIN_FILENO, TCSANOW, &settings_);
    (void)::sigprocmask(SIG_SETMASK, &old, nullptr);
}

bool Terminal::make_raw() {
    if (!is_terminal_ || !at_terminal(STDIN_FILENO)) return false;
    termios raw = settings_;
    ::cfmakeraw(&raw);
    return ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

}  // namespace hostside
