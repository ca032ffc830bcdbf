#include "hostside/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <format>
#include <optional>

#include "hostside/qemu.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::Fd;
using Clock = std::chrono::steady_clock;

constexpr size_t line_limit_bytes = 4096;  // a guest that sends more without a newline is not listened to
constexpr auto connect_pause = std::chrono::milliseconds(20);
constexpr auto failure_grace =
    std::chrono::seconds(3);  // for a guest that failed to end by itself, with no one to look at its menu

// QEMU sets the terminal raw and its file description non-blocking, and leaves both so when it is killed.
class Terminal {
  public:
    Terminal() {
        for (size_t i = 0; i < flags_.size(); ++i) flags_[i] = ::fcntl(static_cast<int>(i), F_GETFL);
        is_terminal_ = ::tcgetattr(STDIN_FILENO, &settings_) == 0;
    }
    ~Terminal() {
        for (size_t i = 0; i < flags_.size(); ++i)
            if (flags_[i] >= 0) (void)::fcntl(static_cast<int>(i), F_SETFL, flags_[i]);
        if (is_terminal_) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &settings_);
    }
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;
    [[nodiscard]] bool interactive() const { return is_terminal_; }

  private:
    std::array<int, 3> flags_{};
    termios settings_{};
    bool is_terminal_ = false;
};

// Our signals as a descriptor, the old mask again at the end.
class Signals {
  public:
    Signals() {
        sigset_t set;
        sigemptyset(&set);
        for (const int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&set, s);
        (void)::sigprocmask(SIG_BLOCK, &set, &old_);
        fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    }
    ~Signals() { (void)::sigprocmask(SIG_SETMASK, &old_, nullptr); }
    Signals(const Signals &) = delete;
    Signals &operator=(const Signals &) = delete;
    [[nodiscard]] int fd() const { return fd_.get(); }
    // The first that asks us to end; 0: none.
    int take() {
        int asked = 0;
        signalfd_siginfo info{};
        while (::read(fd_.get(), &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD) asked = static_cast<int>(info.ssi_signo);
        return asked;
    }

  private:
    sigset_t old_{};
    Fd fd_;
};

Fd connect_to(const std::string &path) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) < 0) return {};
    return socket;
}

bool console_shows_panic(const std::string &run_folder) {
    auto log = base::open_at(AT_FDCWD, run_folder + "/" + std::string(console_log), O_RDONLY | O_NOFOLLOW);
    if (!log) return false;
    // A panic is among the last things that a console shows, before a trace.
    constexpr off_t tail_bytes = off_t{64} << 10;
    const off_t end = ::lseek(log->get(), 0, SEEK_END);
    std::string tail(static_cast<size_t>(std::min(end, tail_bytes)), '\0');
    const ssize_t n = ::pread(log->get(), tail.data(), tail.size(), std::max<off_t>(0, end - tail_bytes));
    return n > 0 && tail.find("Kernel panic - not syncing") != std::string::npos;
}

// The state of one run.
struct Run {
    explicit Run(const Supervision &s) : supervision(s) {}
    const Supervision &supervision;
    pid_t qemu = -1;
    Fd status{};
    std::string received{};
    std::optional<int> code{};  // the first reason for an end counts
    std::optional<Clock::time_point> kill_at{};

    void report(std::string_view event, std::string_view detail = {}) const {
        if (supervision.report) supervision.report(event, detail);
    }
    void conclude(int value) {
        if (!code) code = value;
    }

    void take_line(std::string_view line, bool interactive) {
        const StatusLine status_line = parse_status(line);
        switch (status_line.kind) {
        case StatusLine::ready: report("ready"); break;
        case StatusLine::exit:
            conclude(std::clamp(status_line.code, 0, static_cast<int>(guest_status_limit)));
            report("guest-exit", std::to_string(status_line.code));
            break;
        case StatusLine::failed:
            conclude(stage1_failed);
            report("stage1-failed", status_line.text);
            if (!interactive) kill_at = Clock::now() + failure_grace;
            break;
        case StatusLine::unknown: return;  // of a newer guest, or of a hostile one: no acknowledgement
        }
        constexpr std::string_view acknowledgement = "ack\n";
        (void)::send(status.get(), acknowledgement.data(), acknowledgement.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    void read_status(bool interactive) {
        std::array<char, 1024> chunk;
        const ssize_t n = ::recv(status.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) status.reset();
        if (n <= 0) return;
        received.append(chunk.data(), static_cast<size_t>(n));
        for (size_t end = received.find('\n'); end != std::string::npos; end = received.find('\n')) {
            const std::string line = received.substr(0, end);
            received.erase(0, end + 1);
            take_line(line, interactive);
        }
        if (received.size() > line_limit_bytes) received.clear();
    }
};

int ended(Run &run, int wait_status) {
    const int status = base::exit_code(wait_status);
    if (run.code) return *run.code;
    if (console_shows_panic(run.supervision.run_folder)) {
        run.report("panic");
        return guest_panic;
    }
    if (status != 0) return qemu_failed;
    return 0;
}

}  // namespace

StatusLine parse_status(std::string_view line) {
    constexpr std::string_view exit_word = "exit ", failed_word = "stage1-failed";
    if (line == "ready") return {StatusLine::ready, 0, ""};
    if (line.starts_with(exit_word)) {
        const std::string_view number = line.substr(exit_word.size());
        int code = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code);
        if (error == std::errc{} && end == number.data() + number.size() && code >= 0) return {StatusLine::exit, code, ""};
        return {};
    }
    if (!line.starts_with(failed_word)) return {};
    std::string text;
    // Shown on a terminal: no control characters of the guest's.
    for (const char c : line.substr(std::min(line.size(), failed_word.size() + 1)))
        text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return {StatusLine::failed, 0, text};
}

base::Result<int> supervise(const Supervision &s) {
    const Terminal terminal;
    Signals signals;
    Run run(s);
    const bool interactive = s.terminal && terminal.interactive();
    auto child = base::start({.argv = s.argv, .standard_input = s.terminal ? STDIN_FILENO : -1, .dies_with_parent = true});
    if (!child) return std::unexpected(child.error());
    run.qemu = child->pid;
    std::optional<Clock::time_point> deadline;
    if (s.timeout_s > 0) deadline = Clock::now() + std::chrono::seconds(s.timeout_s);
    const std::string socket = s.run_folder + "/" + std::string(status_socket);
    bool connected = false;
    for (;;) {
        if (!connected) {
            run.status = connect_to(socket);
            connected = run.status.valid();
            if (connected) run.report("started", std::to_string(run.qemu));
        }
        int wait_ms = connected ? -1 : static_cast<int>(connect_pause.count());
        for (const auto &end : {deadline, run.kill_at}) {
            if (!end) continue;
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*end - Clock::now()).count() + 1;
            const int bounded = static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
            wait_ms = wait_ms < 0 ? bounded : std::min(wait_ms, bounded);
        }
        std::array<pollfd, 2> polls{{{signals.fd(), POLLIN, 0}, {run.status.get(), POLLIN, 0}}};
        (void)::poll(polls.data(), polls.size(), wait_ms);
        if (polls[1].revents != 0) run.read_status(interactive);
        if (const int asked = signals.take(); asked != 0 && !(interactive && asked == SIGINT)) {
            run.report("signal", std::to_string(asked));
            run.conclude(128 + asked);
            (void)::kill(run.qemu, SIGTERM);  // QEMU flushes its disks
            run.kill_at = Clock::now() + failure_grace;
        }
        if (deadline && Clock::now() >= *deadline) {
            run.report("timeout", std::to_string(s.timeout_s));
            run.conclude(timed_out);
            (void)::kill(run.qemu, SIGTERM);
            deadline.reset();
            run.kill_at = Clock::now() + failure_grace;
        }
        if (run.kill_at && Clock::now() >= *run.kill_at) {
            (void)::kill(run.qemu, SIGKILL);
            run.kill_at.reset();
        }
        int wait_status = 0;
        if (::waitpid(run.qemu, &wait_status, WNOHANG) != run.qemu) continue;
        while (run.status && run.received.size() <= line_limit_bytes) {  // what came in last
            pollfd last{run.status.get(), POLLIN, 0};
            if (::poll(&last, 1, 0) <= 0) break;
            run.read_status(interactive);
        }
        return ended(run, wait_status);
    }
}

}  // namespace hostside
