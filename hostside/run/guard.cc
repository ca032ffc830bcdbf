#include "hostside/run/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

namespace hostside {

using base::fail;
using base::Fd;

namespace {

// Runs in a forked child of a threaded process: only system calls. Closes all the launcher's descriptors, including its locks.
[[noreturn]] void wait_for_either(int life, int qemu) {
    const int top = std::max(life, qemu) + 1;  // keep dup2 from closing a descriptor that is still needed
    if (::dup2(life, top) == top && ::dup2(qemu, top + 1) == top + 1) {
        (void)::dup2(top, 0);
        (void)::dup2(top + 1, 1);
        (void)::syscall(SYS_close_range, 2U, UINT_MAX, 0U);
        std::array<pollfd, 2> ends{{{0, POLLIN, 0}, {1, POLLIN, 0}}};
        while (::poll(ends.data(), ends.size(), -1) < 0 && errno == EINTR) {
        }
        if (ends[1].revents == 0) (void)::syscall(SYS_pidfd_send_signal, 1, SIGKILL, nullptr, 0);
    }
    ::_exit(0);
}

}  // namespace

base::Result<Guard> Guard::beside(pid_t qemu) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, qemu, 0)));
    std::array<int, 2> ends{};
    if (!process || ::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno, "guard", "QEMU");
    Fd childs(ends[0]), ours(ends[1]);
    sigset_t all, old;
    sigfillset(&all);
    (void)::pthread_sigmask(SIG_SETMASK, &all, &old);  // signals from a terminal or a user are for the launcher
    const pid_t pid = ::fork();
    if (pid == 0) {
        (void)::close(ours.get());
        wait_for_either(childs.get(), process.get());
    }
    (void)::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    if (pid < 0) return fail(errno, "fork", "QEMU's guard");
    return Guard(pid, std::move(ours));
}

Guard::Guard(pid_t pid, Fd life) : pid_(pid), life_(std::move(life)) {}

Guard::Guard(Guard &&other) noexcept : pid_(std::exchange(other.pid_, -1)), life_(std::move(other.life_)) {}

Guard::~Guard() {
    if (pid_ < 0) return;
    life_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace hostside
