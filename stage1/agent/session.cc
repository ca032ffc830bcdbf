#include "stage1/agent/session.h"

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace stage1 {

using mounts::exec::End;
using mounts::exec::Frame;
using mounts::exec::FrameType;
using mounts::exec::Stream;

void Session::take(const Frame &frame, const Surroundings &guest, std::string &out) {
    switch (frame.type) {
    case FrameType::request:
        if (request_.size() + frame.payload.size() <= mounts::exec::request_limit_bytes) request_ += frame.payload;
        break;
    case FrameType::start:
        if (command_.pid < 0) start(guest, out);
        break;
    case FrameType::input:
        input_.append(frame.payload);
        give_input();
        break;
    case FrameType::input_end:
        input_ended_ = true;
        if (command_.terminal) input_.append("\4");  // ctrl-d
        give_input();
        break;
    case FrameType::credit:
        if (const auto credit = mounts::exec::parse_credit(frame.payload))
            (credit->stream == Stream::errors ? errors_credit_ : output_credit_) += credit->bytes;
        break;
    case FrameType::resize:
        if (const auto size = mounts::exec::parse_size(frame.payload); size && command_.terminal && command_.output) {
            const winsize window{size->rows, size->columns, 0, 0};
            (void)::ioctl(command_.output.get(), TIOCSWINSZ, &window);  // the kernel notifies the foreground process group
        }
        break;
    case FrameType::signal:
        if (!frame.payload.empty() && command_.pid > 0 && !wait_status_) (void)::kill(-command_.pid, frame.payload[0]);
        break;
    default: break;
    }
}

void Session::start(const Surroundings &guest, std::string &out) {
    const auto request = mounts::exec::parse_request(request_);
    request_.clear();
    constexpr uint8_t not_started = 126;
    if (!request) return end({End::failed, not_started, "the request can't be read"}, out);
    auto command = start_command(*request, guest);
    if (!command) return end({End::failed, not_started, message(command.error())}, out);
    command_ = std::move(*command);
}

void Session::give_input() {
    while (!input_.empty() && command_.input) {
        const ssize_t n = ::write(command_.input.get(), input_.front().data(), input_.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) command_.input.reset();  // the command stopped reading
        if (n > 0) input_passed_ += static_cast<size_t>(n), input_.consume(static_cast<size_t>(n));
    }
    // Discard input that nobody reads; otherwise the host would wait.
    if (!command_.input && command_.pid > 0) input_passed_ += input_.size(), input_.clear();
    if (input_.empty() && input_ended_ && !command_.terminal) command_.input.reset();
}

void Session::add_polls(std::vector<pollfd> &polls, bool may_read) const {
    const auto fd = [](const base::Fd &one, bool wanted) { return wanted ? one.get() : -1; };
    polls.push_back({fd(command_.input, !input_.empty()), POLLOUT, 0});
    polls.push_back({fd(command_.output, may_read && output_credit_ > 0), POLLIN, 0});
    polls.push_back({fd(command_.errors, may_read && errors_credit_ > 0), POLLIN, 0});
    polls.push_back({command_.failure.get(), POLLIN, 0});
}

void Session::handle(const pollfd *polls, std::string &out) {
    if (polls[0].revents != 0) give_input();
    if (polls[1].revents != 0) read_stream(command_.output, FrameType::output, output_credit_, out);
    if (polls[2].revents != 0) read_stream(command_.errors, FrameType::errors, errors_credit_, out);
    if (polls[3].revents == 0) return;
    std::array<char, 4096> text;
    const ssize_t n = ::read(command_.failure.get(), text.data(), text.size());
    if (n > 0) failure_.append(text.data(), static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) command_.failure.reset();
}

void Session::settle(std::string &out) {
    constexpr size_t worth_telling = mounts::exec::window_bytes / 4;
    if (input_passed_ >= worth_telling || (input_passed_ > 0 && input_.empty())) {
        append_frame(out, FrameType::credit, id_,
                     mounts::exec::credit_payload({Stream::input, static_cast<uint32_t>(input_passed_)}));
        input_passed_ = 0;
    }
    if (!wait_status_) return;
    drain(command_.output, FrameType::output, output_credit_, out);
    drain(command_.errors, FrameType::errors, errors_credit_, out);
    tell_end(out);
}

void Session::read_stream(base::Fd &fd, FrameType type, size_t &credit, std::string &out) {
    const size_t room = std::min(credit, mounts::exec::payload_limit_bytes);
    // Read directly into the frame's place.
    const size_t before = out.size();
    out.resize(before + mounts::exec::header_bytes + room);
    const ssize_t n = ::read(fd.get(), out.data() + before + mounts::exec::header_bytes, room);
    const int error = errno;
    out.resize(before + (n > 0 ? mounts::exec::header_bytes + static_cast<size_t>(n) : 0));
    if (n > 0) {
        std::string header;
        mounts::exec::append_header(header, type, id_, static_cast<size_t>(n));
        std::ranges::copy(header, out.begin() + static_cast<std::ptrdiff_t>(before));
        credit -= static_cast<size_t>(n);
    } else if (n == 0 || (error != EINTR && (error != EAGAIN || wait_status_))) {
        fd.reset();
    }
}

// After a command ended, reads what it left in the pipe and then stops, because another process may keep the pipe open.
void Session::drain(base::Fd &fd, FrameType type, size_t &credit, std::string &out) {
    while (fd && credit > 0 && out.size() < out_limit_bytes) read_stream(fd, type, credit, out);
}

void Session::tell_end(std::string &out) {
    if (!wait_status_ || command_.output || command_.errors || command_.failure) return;
    if (!failure_.empty())
        end({End::failed, static_cast<uint8_t>(failure_[0]), failure_.substr(1)}, out);
    else if (WIFSIGNALED(*wait_status_))
        end({End::signalled, static_cast<uint8_t>(WTERMSIG(*wait_status_)), ""}, out);
    else
        end({End::exited, static_cast<uint8_t>(WEXITSTATUS(*wait_status_)), ""}, out);
}

void Session::end(const End &how, std::string &out) {
    if (!hung_up_) append_frame(out, FrameType::exit, id_, end_payload(how));
    over_ = true;
}

void Session::hang_up() {
    hung_up_ = true;
    if (command_.pid < 0 || wait_status_) {
        over_ = true;
        return;
    }
    // As if the terminal were lost: the command may end, or ignore the signal and live on.
    (void)::kill(-command_.pid, SIGHUP);
    (void)::kill(-command_.pid, SIGCONT);
    command_.input.reset();
    command_.output.reset();
    command_.errors.reset();
    command_.failure.reset();
}

}  // namespace stage1
