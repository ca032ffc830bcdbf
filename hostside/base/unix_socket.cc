#include "hostside/base/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "mounts/base/at.h"

namespace hostside {

namespace {

constexpr int answer_timeout_ms = 5000;
constexpr size_t answer_limit_bytes = size_t{16} << 20;

// Returns the next line that is an answer and not an event.
base::Result<std::string> answer(int socket, std::string &buffer, const std::string &path) {
    for (;;) {
        if (const size_t end = buffer.find('\n'); end != std::string::npos) {
            std::string line = buffer.substr(0, end);
            buffer.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            if (line.find("\"event\":") == std::string::npos) return line;
            continue;
        }
        pollfd wait{socket, POLLIN, 0};
        if (::poll(&wait, 1, answer_timeout_ms) != 1)
            return base::fail(ETIMEDOUT, "ask QEMU at", path, "another client may hold its monitor");
        std::array<char, 4096> chunk;
        const ssize_t n = ::recv(socket, chunk.data(), chunk.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || buffer.size() > answer_limit_bytes) return base::fail(n < 0 ? errno : EPIPE, "ask QEMU at", path);
        buffer.append(chunk.data(), static_cast<size_t>(n));
    }
}

bool fill(sockaddr_un &address, const std::string &path) {
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return true;
}

}  // namespace

base::Result<base::Fd> connect_unix(const std::string &path) {
    base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    if (!fill(address, path)) return base::fail(ENAMETOOLONG, "connect to", path);
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) < 0)
        return base::fail(errno, "connect to", path);
    return socket;
}

base::Result<base::Fd> listen_unix(const std::string &path) {
    constexpr int waiting = 512;
    base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    if (!fill(address, path))
        return base::fail(ENAMETOOLONG, "listen on", path,
                          "a socket's path can have at most 107 bytes; set XDG_RUNTIME_DIR to a shorter directory");
    (void)::unlink(path.c_str());
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) < 0 ||
        ::listen(socket.get(), waiting) < 0)
        return base::fail(errno, "listen on", path);
    return socket;
}

base::Result<std::string> qmp(const std::string &path, std::string_view command) {
    auto socket = connect_unix(path);
    if (!socket) return std::unexpected(socket.error());
    std::string buffer;
    if (auto greeting = answer(socket->get(), buffer, path); !greeting) return greeting;
    if (auto sent = base::write_all(socket->get(), "{\"execute\":\"qmp_capabilities\"}\n", path); !sent)
        return std::unexpected(sent.error());
    if (auto agreed = answer(socket->get(), buffer, path); !agreed) return agreed;
    if (auto sent = base::write_all(socket->get(), std::string(command) + "\n", path); !sent)
        return std::unexpected(sent.error());
    return answer(socket->get(), buffer, path);
}

}  // namespace hostside
