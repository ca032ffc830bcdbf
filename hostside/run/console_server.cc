#include "hostside/run/console_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <format>
#include <utility>

#include "hostside/base/run_names.h"
#include "hostside/base/unix_socket.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

constexpr size_t most_waiting_bytes = size_t{1} << 20;

bool only_later() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

base::Result<ConsoleServer> ConsoleServer::listen(const std::string &run_directory) {
    auto listener = listen_unix(run_directory + "/" + std::string(console_socket));
    if (!listener) return std::unexpected(listener.error());
    return ConsoleServer(std::move(*listener));
}

void ConsoleServer::connect(const std::string &fifo) {
    if (auto fd = base::open_at(AT_FDCWD, fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)) typed_ = std::move(*fd);
}

void ConsoleServer::show(std::string_view console_text) {
    if (!client_) return;
    if (to_client_.size() + console_text.size() > most_waiting_bytes) {
        left_out_bytes_ += console_text.size();
        return;
    }
    if (const size_t lost = std::exchange(left_out_bytes_, 0); lost > 0)
        to_client_ += std::format("\r\n[runvm: {} bytes were dropped because this terminal did not keep up]\r\n", lost);
    to_client_ += console_text;
    send_waiting();
}

std::array<pollfd, ConsoleServer::descriptors> ConsoleServer::wanted() const {
    const auto client_wants = static_cast<short>((to_guest_.empty() ? POLLIN : 0) | (to_client_.empty() ? 0 : POLLOUT));
    return {{{client_ ? -1 : listener_.get(), POLLIN, 0},
             {client_.get(), client_wants, 0},
             {to_guest_.empty() ? -1 : typed_.get(), POLLOUT, 0}}};
}

void ConsoleServer::serve(std::span<const pollfd> polled) {
    if (polled[0].revents != 0) client_ = base::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if ((polled[1].revents & POLLOUT) != 0) send_waiting();
    if ((polled[1].revents & ~POLLOUT) != 0) take_typed();
    if (polled[2].revents != 0) pass_typed();
}

void ConsoleServer::take_typed() {
    std::array<char, 4096> chunk;
    const ssize_t n = ::recv(client_.get(), chunk.data(), chunk.size(), 0);
    if (n < 0 && only_later()) return;
    if (n <= 0) {
        client_.reset();
        to_client_.clear();
        left_out_bytes_ = 0;
        return;
    }
    to_guest_.append(chunk.data(), static_cast<size_t>(n));
    pass_typed();
}

void ConsoleServer::pass_typed() {
    const ssize_t n = typed_ ? ::write(typed_.get(), to_guest_.data(), to_guest_.size()) : std::ssize(to_guest_);
    if (n < 0 && only_later()) return;
    to_guest_.erase(0, n < 0 ? std::string::npos : static_cast<size_t>(n));
}

void ConsoleServer::send_waiting() {
    const ssize_t n = ::send(client_.get(), to_client_.data(), to_client_.size(), MSG_NOSIGNAL);
    if (n > 0) to_client_.erase(0, static_cast<size_t>(n));
}

void ConsoleServer::finish() {
    constexpr auto patience = std::chrono::seconds(2);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (client_ && !to_client_.empty() && std::chrono::steady_clock::now() < end) {
        pollfd wait{client_.get(), POLLOUT, 0};
        constexpr int a_while_ms = 100;
        if (::poll(&wait, 1, a_while_ms) == 1 && (wait.revents & (POLLERR | POLLHUP)) != 0) return;
        send_waiting();
    }
}

}  // namespace hostside
