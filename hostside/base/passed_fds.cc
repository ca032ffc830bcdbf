#include "hostside/base/passed_fds.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace hostside {

base::Result<> send_fds(int socket, std::span<const int> fds, std::string_view bytes) {
    std::vector<char> control(CMSG_SPACE(fds.size_bytes()));
    iovec data{const_cast<char *>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) return base::fail(errno, "pass descriptors", "");
    return {};
}

base::Result<Passed> receive_fds(int socket, size_t limit_bytes, size_t most_fds) {
    Passed passed{.bytes = std::string(limit_bytes, '\0'), .fds = {}};
    std::vector<char> control(CMSG_SPACE(most_fds * sizeof(int)));
    iovec data{passed.bytes.data(), passed.bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t n = 0;
    do n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return base::fail(errno, "receive descriptors", "");
    passed.bytes.resize(static_cast<size_t>(n));
    // The kernel puts all descriptors of a message into one part.
    const cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return passed;
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
        passed.fds.emplace_back(fd);
    }
    return passed;
}

}  // namespace hostside
