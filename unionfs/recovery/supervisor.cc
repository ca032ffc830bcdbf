#include "unionfs/recovery/supervisor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <thread>

#include "mounts/base/fd.h"

namespace unionfs {

namespace {

constexpr unsigned most_short_lives = 5;  // after that, a new worker would not help
constexpr long short_life_ms = 1000;

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
    return set;
}

std::vector<int> open_descriptors() {
    std::vector<int> open;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) limit.rlim_cur = 1024;
    // Nearly all open descriptors lie below the lowest free number. Trying some numbers above it finds the few others.
    constexpr int enough_free = 1024;
    for (int fd = 0, free = 0; static_cast<rlim_t>(fd) < limit.rlim_cur && free < enough_free; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0)
            open.push_back(fd);
        else
            ++free;
    return open;
}

class Log {
  public:
    explicit Log(const Supervised &supervised) : mountpoint_(supervised.mountpoint) {
        if (!supervised.has_terminal) kmsg_.reset(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
    }
    void tell(const std::string &text) const {
        const std::string line = (kmsg_ ? "<3>unionfs: " : "unionfs: ") + mountpoint_ + ": " + text + "\n";
        (void)!::write(kmsg_ ? kmsg_.get() : STDERR_FILENO, line.data(), line.size());  // a failure can't be reported anywhere
    }

  private:
    base::Fd kmsg_;
    const std::string &mountpoint_;
};

// Sets the stack size of the worker's threads. musl's default is 128 KiB; glibc takes the shell's limit.
void state_stack_size() {
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) return;
    (void)::pthread_attr_setstacksize(&attributes, size_t{1} << 20);
    (void)::pthread_setattr_default_np(&attributes);  // fails only if the size is out of range
    (void)::pthread_attr_destroy(&attributes);
}

// The worker runs in a thread, because clone(2) gives it only this small stack.
int run_worker(void *argument) {
    ::signal(SIGTERM, SIG_IGN);  // the supervisor handles it
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGIO, SIG_IGN);  // comes when someone opens a file on which end_passthrough_writes has a lease
    const sigset_t set = watched();
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    state_stack_size();
    const auto &worker = *static_cast<const Supervised *>(argument);
    int code = 1;
    std::thread([&] { code = worker.work(worker.kept); }).join();
    // Ends all threads; returning would end only this one. Not _exit, because there a sanitizer looks for the thread's own
    // stack.
    return static_cast<int>(::syscall(SYS_exit_group, code));
}

pid_t start_worker(Supervised &supervised) {
    alignas(16) static std::array<std::byte, 65536> stack;
    return ::clone(run_worker, stack.data() + stack.size(), CLONE_FILES | SIGCHLD, &supervised);
}

std::string cause_of(int status) {
    if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
    return "exited with status " + std::to_string(WEXITSTATUS(status));
}

// Counts workers in a row that die as soon as they serve. The request that kills them is sent to each new one.
class Deaths {
  public:
    void start() { ::clock_gettime(CLOCK_MONOTONIC, &started_); }
    bool too_many() {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        const auto lived_ms = (now.tv_sec - started_.tv_sec) * 1000 + (now.tv_nsec - started_.tv_nsec) / 1000000;
        in_a_row_ = lived_ms < short_life_ms ? in_a_row_ + 1 : 0;
        return in_a_row_ >= most_short_lives;
    }

  private:
    timespec started_{};
    unsigned in_a_row_ = 0;
};

// Why no other worker can take over. Empty if one can.
std::string hopeless(const Supervised &supervised, Deaths &deaths) {
    if (supervised.handover.init_size == 0) return "it never served";
    if (supervised.handover.over_io_uring)
        return "the kernel doesn't resend io_uring requests, so the mount is lost; unmount it and mount it again";
    if (!supervised.handover.kernel_resends)
        return "this kernel can't resend requests (Linux 6.9 can), so the mount is lost; unmount it and mount it again";
    if (deaths.too_many())
        return "it is the fifth in a row that lived less than a second, so the mount is lost; unmount it and mount it again";
    return {};
}

}  // namespace

int supervise(Supervised supervised) {
    // /init executed us through /proc/self/exe, so our name is `exe`. NixOS's stage 1 of 2013 spares a process only if its name
    // is `unionfs`. The worker inherits the name.
    (void)::prctl(PR_SET_NAME, "unionfs");
    const Log log(supervised);
    supervised.kept = open_descriptors();
    const sigset_t set = watched();
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    Deaths deaths;
    bool unmounted = false;
    deaths.start();
    pid_t worker = start_worker(supervised);
    while (worker > 0) {
        int signal = 0, status = 0;
        if (::sigwait(&set, &signal) != 0) continue;
        if (signal != SIGCHLD) {
            if (!unmounted) supervised.unmount();
            unmounted = true;
            continue;
        }
        if (::waitpid(worker, &status, WNOHANG) != worker) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
        const std::string reason = hopeless(supervised, deaths);
        log.tell("the worker " + cause_of(status) + "; " + (reason.empty() ? "a new worker takes over" : reason));
        if (!reason.empty()) return 1;
        deaths.start();
        worker = start_worker(supervised);
    }
    log.tell("can't start a worker, error " + std::to_string(errno));
    return 1;
}

void close_all_but(std::vector<int> kept) {
    std::ranges::sort(kept);
    int next = 0;
    for (const int fd : kept) {
        if (fd > next) (void)::syscall(SYS_close_range, next, fd - 1, 0);
        next = fd + 1;
    }
    (void)::syscall(SYS_close_range, next, ~0U, 0);
}

}  // namespace unionfs
