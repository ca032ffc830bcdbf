#include "stage1/steps/uevent.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace stage1 {

base::Result<UeventSocket> UeventSocket::open() {
    base::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1;  // the kernel's messages; group 2 is udevd's
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) < 0)
        return base::fail(errno, "listen for", "uevents");
    return UeventSocket(std::move(fd));
}

base::Result<bool> UeventSocket::wait_until(const std::function<bool()> &ready, std::chrono::milliseconds timeout) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + timeout;
    std::array<char, 8192> message;
    for (;;) {
        if (ready()) return true;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
        if (left <= 0) return false;
        pollfd poll{fd_.get(), POLLIN, 0};
        if (::poll(&poll, 1, static_cast<int>(left)) < 0 && errno != EINTR) return base::fail(errno, "wait for", "uevents");
        // Ignore the messages' content and lost messages (ENOBUFS), because `ready` checks the actual state.
        while (::recv(fd_.get(), message.data(), message.size(), 0) > 0) {
        }
    }
}

}  // namespace stage1
