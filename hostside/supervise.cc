#include "hostside/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <format>

#include "hostside/guest_status.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

// QEMU sets the terminal raw and leaves O_NONBLOCK behind on the description that it shares with the shell.
class TerminalGuard {
  public:
    TerminalGuard() : terminal_(::tcgetattr(STDIN_FILENO, &state_) == 0) {
        for (size_t i = 0; i < flags_.size(); ++i) flags_[i] = ::fcntl(static_cast<int>(i), F_GETFL);
    }
    TerminalGuard(const TerminalGuard &) = delete;
    TerminalGuard &operator=(const TerminalGuard &) = delete;
    ~TerminalGuard() {
        if (terminal_) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &state_);
        for (size_t i = 0; i < flags_.size(); ++i)
            if (flags_[i] >= 0) (void)::fcntl(static_cast<int>(i), F_SETFL, flags_[i]);
    }

  private:
    termios state_{};
    bool terminal_;
    std::array<int, 3> flags_{};
};

struct Supervision {
    pid_t pid;
    base::Fd process;  // pidfd
    Ports ports;
    const SuperviseOptions &options;
    StatusLines lines;
    std::string qmp;
    Outcome outcome;
    bool told = false;  // the guest said how it ended

    void end_machine() const { (void)::kill(pid, SIGTERM); }

    void hear_status() {
        std::array<char, 4096> bytes;
        const ssize_t n = ::recv(ports.status.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (n == 0) ports.status.reset();
        if (n <= 0) return;
        for (const GuestStatus &status : lines.feed({bytes.data(), static_cast<size_t>(n)})) {
            // A guest that does not read cannot make us wait.
            (void)::send(ports.status.get(), "ack\n", 4, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (status.kind == GuestStatus::Kind::exit && !told) outcome = {status.code, {}}, told = true;
            if (status.kind == GuestStatus::Kind::stage1_failed) {
                outcome = {exit_stage1_failed, "stage 1 failed: " + status.text};
                told = true;
                if (options.stop_on_status) end_machine();
            }
        }
    }

    void hear_qmp() {
        std::array<char, 4096> bytes;
        const ssize_t n = ::recv(ports.qmp.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (n == 0) ports.qmp.reset();
        if (n <= 0) return;
        qmp.append(bytes.data(), static_cast<size_t>(n));
        if (qmp.find("\"GUEST_PANICKED\"") != std::string::npos && !told) {
            outcome = {exit_guest_panic, "the guest's kernel panicked; its last words are on the console"};
            told = true;
            end_machine();
        }
        // An event is one line; nothing older than the line under way is needed.
        qmp.erase(0, qmp.rfind('\n') == std::string::npos ? 0 : qmp.rfind('\n') + 1);
    }

    // One round of waiting. False: QEMU has ended.
    bool wait(std::optional<Clock::time_point> end) {
        int left = -1;
        if (end)
            left =
                static_cast<int>(std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(*end - Clock::now()).count()));
        std::array<pollfd, 3> polls{{{process.get(), POLLIN, 0}, {ports.status.get(), POLLIN, 0}, {ports.qmp.get(), POLLIN, 0}}};
        const int n = ::poll(polls.data(), polls.size(), left);
        if (n == 0) {
            outcome = {exit_timeout, "the machine did not end in time and was stopped (--timeout)"};
            told = true;
            (void)::kill(pid, SIGKILL);
        }
        if (polls[1].revents != 0) hear_status();
        if (polls[2].revents != 0) hear_qmp();
        return polls[0].revents == 0;
    }
};

// The child of fork: QEMU's ends of the sockets stay open across exec, and its life hangs on ours.
[[noreturn]] void become_qemu(const std::vector<std::string> &argv, const Ports &ports, pid_t parent, int failure) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
    for (const int fd : {ports.status_qemu.get(), ports.qmp_qemu.get()}) (void)::fcntl(fd, F_SETFD, 0);
    std::vector<char *> pointers;
    for (const auto &word : argv) pointers.push_back(const_cast<char *>(word.c_str()));
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    const int code = errno;
    (void)!::write(failure, &code, sizeof code);
    ::_exit(127);
}

}  // namespace

Result<Ports> make_ports() {
    Ports ports;
    for (auto [ours, theirs] : {std::pair{&ports.status, &ports.status_qemu}, std::pair{&ports.qmp, &ports.qmp_qemu}}) {
        std::array<int, 2> pair{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) < 0) return fail(errno, "socketpair", "");
        ours->reset(pair[0]);
        theirs->reset(pair[1]);
    }
    return ports;
}

Result<Outcome> supervise(const std::vector<std::string> &argv, Ports ports, const SuperviseOptions &options) {
    const TerminalGuard terminal;
    std::array<int, 2> failure{};
    if (::pipe2(failure.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", "");
    base::Fd failure_read(failure[0]);
    base::Fd failure_write(failure[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail(errno, "fork", argv[0]);
    if (pid == 0) become_qemu(argv, ports, parent, failure_write.get());
    failure_write.reset();
    int code = 0;
    if (::read(failure_read.get(), &code, sizeof code) == sizeof code) {
        (void)::waitpid(pid, nullptr, 0);
        return fail(code, "exec", argv[0], "QEMU runs the machine; Debian: qemu-system-x86, NixOS: qemu; or name it with --qemu");
    }
    ports.status_qemu.reset();
    ports.qmp_qemu.reset();
    Supervision run{.pid = pid,
                    .process = base::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
                    .ports = std::move(ports),
                    .options = options};
    (void)::send(run.ports.qmp.get(), "{\"execute\":\"qmp_capabilities\"}\n", 31, MSG_NOSIGNAL);
    std::optional<Clock::time_point> end;
    if (options.timeout) end = Clock::now() + *options.timeout;
    while (run.wait(end)) {
        if (run.outcome.exit_code == exit_timeout) end.reset();
    }
    // What the guest said with its last breath is still in the sockets.
    if (run.ports.status) run.hear_status();
    if (run.ports.qmp) run.hear_qmp();
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    if (!run.told && base::exit_code(status) != 0)
        run.outcome = {exit_qemu_failed, std::format("{} ended with {}", argv[0], base::exit_code(status))};
    return run.outcome;
}

}  // namespace hostside
