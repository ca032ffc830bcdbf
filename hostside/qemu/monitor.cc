#include "hostside/qemu/monitor.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <format>
#include <nlohmann/json.hpp>

#include "hostside/base/bounded_json.h"
#include "hostside/base/printable.h"
#include "hostside/base/unix_socket.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr int monitor_patience_ms = 60'000;  // a command that flushes disks on a busy host
constexpr size_t monitor_line_bytes = size_t{1} << 20;

// Sends the descriptor with the first byte (unix(7), SCM_RIGHTS).
Result<> send_with(int socket, const std::string &text, int descriptor, const std::string &path) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> control{};
    iovec part{const_cast<char *>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    // Our commands are smaller than any socket's buffer.
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return fail(errno, "tell QEMU at", path);
    return {};
}

}  // namespace

Result<Monitor> Monitor::connect(const std::string &path) {
    auto socket = connect_unix(path);
    if (!socket) return std::unexpected(socket.error());
    Monitor monitor(std::move(*socket), path);
    if (auto greeting = monitor.line(); !greeting) return std::unexpected(greeting.error());
    if (auto agreed = monitor.execute("qmp_capabilities"); !agreed) return std::unexpected(agreed.error());
    return monitor;
}

Result<std::string> Monitor::line() {
    for (;;) {
        if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        pollfd wait{socket_.get(), POLLIN, 0};
        if (::poll(&wait, 1, monitor_patience_ms) != 1) return fail(ETIMEDOUT, "ask QEMU at", path_);
        std::array<char, 4096> chunk;
        const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
        if (n <= 0 || buffer_.size() > monitor_line_bytes)
            return fail(n < 0 ? errno : EPIPE, "ask QEMU at", path_, "QEMU ended, or its answer violates the protocol");
        buffer_.append(chunk.data(), static_cast<size_t>(n));
    }
}

Result<std::string> Monitor::execute(std::string_view command, std::string_view arguments, int descriptor) {
    const std::string text = arguments.empty() ? std::format("{{\"execute\":\"{}\"}}\n", command)
                                               : std::format("{{\"execute\":\"{}\",\"arguments\":{}}}\n", command, arguments);
    if (auto sent = send_with(socket_.get(), text, descriptor, path_); !sent) return std::unexpected(sent.error());
    for (;;) {
        auto answer = line();
        if (!answer) return answer;
        constexpr JsonLimits limits{.what = "an answer", .bytes = monitor_line_bytes, .keys = 10000, .depth = 32};
        if (!check_json(*answer, "QEMU", limits)) return fail(0, "ask QEMU", command, "its answer violates the protocol");
        const auto json = nlohmann::json::parse(*answer);
        if (json.is_object() && json.contains("return")) return json["return"].dump();
        if (!json.is_object() || !json.contains("error")) continue;  // an event
        const auto &error = json["error"];
        const bool told = error.is_object() && error.contains("desc") && error["desc"].is_string();
        return fail(0, "ask QEMU", command, told ? printable(error["desc"].get<std::string>()) : "the command failed");
    }
}

}  // namespace hostside
