#include "stage1/agent/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/agent/session.h"
#include "stage1/agent/stage2_times.h"
#include "stage1/base/virtio_port.h"

namespace stage1 {

namespace {

using base::Fd;
using mounts::exec::Frame;
using mounts::exec::FrameType;

constexpr int hello_again_ms = 2000, host_away_us = 100'000;

class Agent {
  public:
    Agent(Fd port, Fd children, Surroundings guest)
        : port_(std::move(port)), children_(std::move(children)), guest_(std::move(guest)), nonce_(mounts::exec::nonce_bytes, 0) {
        // Early in a boot there is no better randomness, and none is needed.
        (void)!::getrandom(nonce_.data(), nonce_.size(), GRND_INSECURE);
    }

    [[noreturn]] void run() {
        for (say_hello();;) {
            std::vector<pollfd> polls{{port_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
                                      {children_.get(), POLLIN, 0}};
            for (const auto &session : sessions_) session->add_polls(polls, out_.size() < Session::out_limit_bytes);
            const int ready = ::poll(polls.data(), polls.size(), welcomed_ ? -1 : hello_again_ms);
            if (ready == 0 && out_.empty()) say_hello();
            if ((polls[0].revents & POLLHUP) != 0)
                host_left();
            else if (std::exchange(away_, false))
                say_hello();
            if (polls[1].revents != 0) reap();
            const pollfd *own = polls.data() + 2;
            for (const auto &session : sessions_) {
                session->handle(own, out_.tail());
                own += Session::poll_count;
            }
            if ((polls[0].revents & POLLIN) != 0) receive();
            for (const auto &session : sessions_) session->settle(out_.tail());
            std::erase_if(sessions_, [](const auto &session) { return session->over(); });
            send();
        }
    }

  private:
    void say_hello() {
        out_.tail().append(mounts::exec::resync_bytes, '\0');
        append_frame(out_.tail(), FrameType::hello, 0, nonce_);
    }

    // The host closed the port, and whoever ran these commands is gone. Pauses, because the port keeps reporting the hangup.
    void host_left() {
        welcomed_ = false;
        away_ = true;
        out_.clear();
        for (const auto &session : sessions_) session->hang_up();
        (void)::usleep(host_away_us);
    }

    // Another launcher has the other end, in a fork of a saved machine: the port was never closed, as far as can be seen.
    void begin_again() {
        welcomed_ = false;
        out_.clear();
        for (const auto &session : sessions_) session->hang_up();
        say_hello();
    }

    void reap() {
        signalfd_siginfo info{};
        while (::read(children_.get(), &info, sizeof info) == sizeof info) {
        }
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
            for (const auto &session : sessions_)
                if (session->pid() == pid) session->ended(status);
    }

    void receive() {
        std::array<char, 65536> chunk;
        const ssize_t n = ::read(port_.get(), chunk.data(), chunk.size());
        if (n > 0) in_.take({chunk.data(), static_cast<size_t>(n)});
        while (const auto frame = in_.next()) take(*frame);
    }

    void take(const Frame &frame) {
        if (frame.type == FrameType::welcome) {
            if (frame.payload == nonce_) welcomed_ = true;
            if (frame.payload.empty()) begin_again();
            return;
        }
        if (!welcomed_) return;  // left over from a conversation with an earlier agent
        for (const auto &session : sessions_)
            if (session->id() == frame.session) {
                frame.type == FrameType::close ? session->hang_up() : session->take(frame, guest_, out_.tail());
                return;
            }
        if (frame.type != FrameType::request && frame.type != FrameType::start) return;
        sessions_.push_back(std::make_unique<Session>(frame.session));
        sessions_.back()->take(frame, guest_, out_.tail());
    }

    void send() {
        while (!out_.empty()) {
            const size_t whole = std::min(out_.size(), mounts::exec::resync_bytes);
            const ssize_t n = ::write(port_.get(), out_.front().data(), whole);
            if (n <= 0) return;
            out_.consume(static_cast<size_t>(n));
        }
    }

    Fd port_, children_;
    Surroundings guest_;
    std::string nonce_;
    mounts::exec::FrameReader in_;
    mounts::ByteQueue out_;
    std::vector<std::unique_ptr<Session>> sessions_;
    bool welcomed_ = false, away_ = false;
};

// Closes stage 1's descriptors and leaves its terminal.
void leave_stage1() {
    (void)::setsid();
    (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);  // musl has no function for it; Linux 5.9
    const int null = ::open("/dev/null", O_RDWR);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null, standard);
    if (null > STDERR_FILENO) ::close(null);
    (void)base::log_to_kmsg();
}

base::Result<> serve_with(Surroundings guest) {
    auto port = open_virtio_port(mounts::protocol::exec_port);
    if (!port) {
        if (port.error().code == EBUSY) port.error().hint = "another agent serves it";
        return std::unexpected(port.error());
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    (void)::sigprocmask(SIG_BLOCK, &set, nullptr);
    (void)::signal(SIGPIPE, SIG_IGN);
    Fd children(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!children) return base::fail(errno, "signalfd", "");
    Agent(std::move(*port), std::move(children), std::move(guest)).run();
}

pid_t early_agent = -1;

// Frees the port.
void end_early_agent() {
    if (early_agent < 0) return;
    (void)::kill(early_agent, SIGKILL);
    while (::waitpid(early_agent, nullptr, 0) < 0 && errno == EINTR) {
    }
    early_agent = -1;
}

}  // namespace

base::Result<> serve(const std::string &system) { return serve_with({.system = system}); }

void start_early_agent(std::function<int()> shell) {
    if (early_agent > 0 && ::kill(early_agent, 0) == 0) return;
    early_agent = ::fork();
    if (early_agent != 0) return;
    leave_stage1();
    (void)::prctl(PR_SET_NAME, "stage1-agent");
    const auto served = serve_with({.system = "", .shell = std::move(shell)});
    ::_exit(served ? 0 : 1);
}

void start_agent(const Surroundings &guest) {
    end_early_agent();
    tell_stage2_times(guest.system);
    if (::fork() != 0) return;
    leave_stage1();
    (void)::prctl(PR_SET_NAME, "stage1-agent");
    for (;; (void)::usleep(500'000)) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const auto served = serve_with(guest);
            ::_exit(served || served.error().code == ENODEV ? 0 : 1);
        }
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) ::_exit(0);
    }
}

void be_agent(const Surroundings &guest) {
    end_early_agent();
    leave_stage1();
    const auto served = serve_with(guest);
    if (!served) base::log(served.error());
    for (;;) ::pause();
}

}  // namespace stage1
