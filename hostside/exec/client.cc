#include "hostside/exec/client.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <format>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "hostside/base/allowance.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/base/signals.h"
#include "hostside/base/unix_socket.h"
#include "hostside/run/terminal.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/exec/byte_queue.h"
#include "mounts/exec/frame.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
using mounts::exec::End;
using mounts::exec::Frame;
using mounts::exec::FrameType;
using mounts::exec::Stream;
using Clock = std::chrono::steady_clock;

// Signals passed on to the command.
constexpr std::array passed_on{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

constexpr int most_writes = 16;  // before looking at the socket and at signals again

// Output for one of our streams that is not written yet.
struct Sink {
    int fd;
    Stream stream;
    std::function<bool(std::string_view)> take;  // instead of fd
    int log;
    mounts::ByteQueue waiting{};
    size_t written = 0;  // since the last credit
    bool wanted = fd >= 0 || take;

    // Whether a write would not block, as far as the stream can tell. A pipe only promises that for PIPE_BUF bytes (pipe(7)).
    [[nodiscard]] bool ready() const {
        pollfd wait{fd, POLLOUT, 0};
        return !wanted || take || ::poll(&wait, 1, 0) != 0;
    }
    // Returns the bytes written; -1: errno has the reason.
    ssize_t pass(std::string_view bytes) const {
        if (take && !take(bytes)) return errno = EPIPE, -1;
        const ssize_t n = take ? static_cast<ssize_t>(bytes.size()) : ::write(fd, bytes.data(), bytes.size());
        // A full log must not end the command, and output must not fill the disk.
        if (n > 0 && log >= 0 && check_room(static_cast<uint64_t>(n), log))
            (void)base::write_all(log, bytes.substr(0, static_cast<size_t>(n)), "log");
        return n;
    }
};

class Client {
  public:
    Client(const ExecWish &wish, Fd socket)
        : wish_(wish),
          socket_(std::move(socket)),
          signals_(wish.streams.signals ? std::span<const int>(passed_on) : std::span<const int>()),
          output_{wish.streams.output, Stream::output, wish.streams.take_output, wish.streams.log},
          errors_{wish.streams.errors, Stream::errors, wish.streams.take_errors, wish.streams.log} {
        if (wish.patience_s >= 0) deadline_ = Clock::now() + std::chrono::seconds(wish.patience_s);
        if (wish.limit_s >= 0) limit_ = Clock::now() + std::chrono::seconds(wish.limit_s);
    }

    Result<End> to_the_end() {
        for (;;) {
            if (end_ && output_.waiting.empty() && errors_.waiting.empty()) return whole_end();
            const bool may_type = started_ && !end_ && !input_ended_ && credit_ > 0 && out_.size() < mounts::exec::window_bytes;
            std::array<pollfd, 5> polls{
                {{end_ ? -1 : socket_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
                 {may_type ? wish_.streams.input : -1, POLLIN, 0},
                 {output_.waiting.empty() || !output_.wanted ? -1 : output_.fd, POLLOUT, 0},
                 {errors_.waiting.empty() || !errors_.wanted ? -1 : errors_.fd, POLLOUT, 0},
                 {signals_.fd(), POLLIN, 0}}};
            (void)::poll(polls.data(), polls.size(), wait_ms());
            if (!started_ && deadline_ && Clock::now() >= *deadline_) return no_agent();
            if (limit_ && Clock::now() >= *limit_)
                return fail(ETIMEDOUT, "run in", wish_.machine, std::format("it did not end within {} s", wish_.limit_s));
            if (polls[1].revents != 0) read_input();
            if (polls[4].revents != 0)
                if (const int signal = signals_.take(); signal != 0 && !pass_on(signal)) return interrupted(signal);
            if (polls[0].revents != 0 && !end_ && !receive()) return machine_ended();
            for (Sink *sink : {&output_, &errors_})
                for (int i = 0; i < most_writes && !sink->waiting.empty() && sink->ready(); ++i) write(*sink);
            if (auto sent = send(); !sent && !end_) return machine_ended();
            if (end_ && end_->kind == End::failed && end_->code == 0) return fail(0, "run in", wish_.machine, end_->text);
            // Who takes the output has a reason not to want more, and a hostile guest would not end because of a signal.
            for (const Sink *sink : {&output_, &errors_})
                if (sink->take && !sink->wanted) return fail(EPIPE, "run in", wish_.machine, "its output was refused");
        }
    }

  private:
    [[nodiscard]] int wait_ms() const {
        // Where there is no descriptor to wait for, what is left is taken at once.
        for (const Sink *sink : {&output_, &errors_})
            if (sink->take && !sink->waiting.empty()) return 0;
        std::optional<Clock::time_point> next = limit_;
        if (!started_ && deadline_) next = std::min(*deadline_, limit_.value_or(*deadline_));
        if (!next) return -1;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*next - Clock::now()).count() + 1;
        return static_cast<int>(std::max<long long>(left, 0));
    }

    [[nodiscard]] End interrupted(int signal) const {
        if (wish_.interrupted != nullptr) *wish_.interrupted = signal;
        return {End::signalled, static_cast<uint8_t>(signal), ""};
    }

    // A success without its output is a failure. So is an end by the SIGPIPE that write() sent for it.
    [[nodiscard]] Result<End> whole_end() const {
        const bool success = end_->kind == End::exited && end_->code == 0;
        const bool ended_for_it = end_->kind == End::signalled && end_->code == SIGPIPE;
        if (lost_ != 0 && (success || ended_for_it)) return fail(lost_, "write", "the command's output");
        return *end_;
    }

    [[nodiscard]] std::unexpected<base::Error> no_agent() const {
        return fail(0, "run in", wish_.machine,
                    std::format("{} in the guest within {} s: the guest may still be booting (--patience SECONDS), or it has no "
                                "agent: stage 1 in runvm's own initrd starts one unless stage1.agent=off; a system with its own "
                                "initrd needs the unit stage1-agent.service",
                                no_agent_answered, wish_.patience_s));
    }
    [[nodiscard]] std::unexpected<base::Error> machine_ended() const {
        return fail(0, "run in", wish_.machine, "the machine ended before the command did");
    }

    bool receive() {
        std::array<char, 65536> chunk;
        const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (n > 0) in_.take({chunk.data(), static_cast<size_t>(n)});
        while (const auto frame = in_.next()) take(*frame);
        return true;
    }

    void take(const Frame &frame) {
        switch (frame.type) {
        case FrameType::agent:
            if (frame.payload == "1" && !started_) start();
            break;
        case FrameType::output: take_output(output_, frame.payload); break;
        case FrameType::errors: take_output(errors_, frame.payload); break;
        case FrameType::credit:
            if (const auto credit = mounts::exec::parse_credit(frame.payload); credit && credit->stream == Stream::input)
                credit_ = std::min(credit_ + credit->bytes, mounts::exec::window_bytes);
            break;
        case FrameType::exit:
            end_ = mounts::exec::parse_end(frame.payload).value_or(End{End::failed, 0, "the guest's answer can't be read"});
            break;
        default: break;
        }
        if (end_) end_->text = printable(end_->text);
    }

    // An agent never sends more than the window. What is beyond would only fill our memory while our own stream is stuck.
    void take_output(Sink &sink, std::string_view payload) {
        if (sink.waiting.size() + payload.size() <= mounts::exec::window_bytes)
            sink.waiting.append(payload);
        else
            end_ = End{End::failed, 0, "the guest sent more than it may; the answer is not from stage1's agent"};
    }

    void start() {
        started_ = true;
        append_frames(out_.tail(), FrameType::request, 0, request_text(wish_.request));
        append_frame(out_.tail(), FrameType::start, 0);
        if (wish_.request.terminal) terminal_.make_raw();
        if (wish_.streams.input < 0) end_input();
    }

    void end_input() {
        append_frame(out_.tail(), FrameType::input_end, 0);
        input_ended_ = true;
    }

    void read_input() {
        std::array<char, mounts::exec::payload_limit_bytes> chunk;
        const ssize_t n = ::read(wish_.streams.input, chunk.data(), std::min(chunk.size(), credit_));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (n <= 0) return end_input();
        append_frame(out_.tail(), FrameType::input, 0, {chunk.data(), static_cast<size_t>(n)});
        credit_ -= static_cast<size_t>(n);
    }

    // If a stream accepts no more, drops its output. The command gets SIGPIPE if the reader is gone, as from its own pipe, or if
    // its output is lost. Errors that find no room are no reason to end it.
    void write(Sink &sink) {
        const ssize_t n = sink.wanted ? sink.pass(sink.waiting.front().substr(0, PIPE_BUF)) : -1;
        const int error = errno;
        if (n < 0 && sink.wanted && (error == EINTR || error == EAGAIN)) return;
        const bool lost = sink.stream == Stream::output && error != EPIPE;
        if (n < 0 && sink.wanted && lost) lost_ = error;
        if (n < 0 && std::exchange(sink.wanted, false) && (lost || error == EPIPE))
            append_frame(out_.tail(), FrameType::signal, 0, std::string(1, static_cast<char>(SIGPIPE)));
        const size_t taken = n < 0 ? sink.waiting.size() : static_cast<size_t>(n);
        sink.waiting.consume(taken);
        sink.written += taken;
        if (sink.written < mounts::exec::window_bytes / 4) return;
        append_frame(out_.tail(), FrameType::credit, 0,
                     mounts::exec::credit_payload({sink.stream, static_cast<uint32_t>(sink.written)}));
        sink.written = 0;
    }

    // False: there is no command that could get it, yet or any more.
    bool pass_on(int signal) {
        if (signal == SIGWINCH) {
            if (started_ && wish_.request.terminal)
                append_frame(out_.tail(), FrameType::resize, 0, size_payload(terminal_size(wish_.streams.input)));
            return true;
        }
        if (!started_ || end_) return false;
        append_frame(out_.tail(), FrameType::signal, 0, std::string(1, static_cast<char>(signal)));
        return true;
    }

    Result<> send() {
        while (!out_.empty()) {
            const ssize_t n = ::send(socket_.get(), out_.front().data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return {};
            if (n < 0) return fail(errno, "send to", wish_.machine);
            out_.consume(static_cast<size_t>(n));
        }
        return {};
    }

    const ExecWish &wish_;
    Fd socket_;
    Signals signals_;
    Terminal terminal_;
    mounts::exec::FrameReader in_;
    mounts::ByteQueue out_;
    Sink output_, errors_;
    size_t credit_ = mounts::exec::window_bytes;
    bool started_ = false, input_ended_ = false;
    int lost_ = 0;  // errno of output that could not be written
    std::optional<End> end_;
    std::optional<Clock::time_point> deadline_, limit_;
};

}  // namespace

Result<End> run_in_guest(const ExecWish &wish) {
    // The hub of a machine that has just started may not listen yet.
    constexpr int most_tries = 100;
    constexpr auto pause = std::chrono::milliseconds(50);
    for (int i = 0;; ++i, std::this_thread::sleep_for(pause)) {
        auto socket = connect_unix(wish.run_directory + "/" + std::string(exec_socket));
        if (socket) return Client(wish, std::move(*socket)).to_the_end();
        const bool not_yet = socket.error().code == ENOENT || socket.error().code == ECONNREFUSED;
        if (not_yet && i < most_tries && ::access(wish.run_directory.c_str(), F_OK) == 0) continue;
        socket.error().hint = std::format("machine {} accepts no commands: an older runvm started it, or it ended", wish.machine);
        return std::unexpected(socket.error());
    }
}

mounts::exec::Size terminal_size(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) return {24, 80};
    return {size.ws_row, size.ws_col};
}

}  // namespace hostside
