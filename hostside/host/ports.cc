#include "hostside/host/ports.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <format>
#include <sstream>
#include <string>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

// The inode of the socket that uses a port (proc(5), /proc/net/tcp: local address and inode are words 2 and 10). An IPv6 socket
// also occupies the IPv4 port, unless it is bound to one address or has IPV6_V6ONLY.
std::string socket_inode(const std::string &protocol, int port) {
    const auto table = base::read_file("/proc/net/" + protocol).value_or(std::string{}) +
                       base::read_file("/proc/net/" + protocol + "6").value_or(std::string{});
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string word, local, inode;
        for (int i = 1; i <= 10 && words >> word; ++i) {
            if (i == 2) local = word;
            if (i == 10) inode = word;
        }
        if (local.ends_with(std::format(":{:04X}", port)) && inode != "0") return inode;
    }
    return {};
}

std::string owner_of(const std::string &inode) {
    const std::string link = "socket:[" + inode + "]";
    std::error_code error;
    for (const auto &process : fs::directory_iterator("/proc", error)) {
        const std::string pid = process.path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        for (const auto &fd : fs::directory_iterator(process.path() / "fd", error))
            if (fs::read_symlink(fd.path(), error) == link) {
                std::string name = base::read_file(process.path() / "comm", 64).value_or("?");
                while (name.ends_with('\n')) name.pop_back();
                return std::format("{}, pid {}", name, pid);
            }
    }
    return "another program";
}

}  // namespace

base::Result<> check_ports(const std::vector<ForwardPort> &ports) {
    for (const auto &p : ports) {
        if (p.from != "host") continue;
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(p.host_port));
        // Invalid IPv4 addresses are refused when QEMU's command line is made (qemu/networks.cc).
        if (!p.host_address.empty() && ::inet_pton(AF_INET, p.host_address.c_str(), &address.sin_addr) != 1) continue;
        const base::Fd socket(::socket(AF_INET, (p.protocol == "udp" ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
        const int reuse = 1;  // like QEMU's user network
        (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
        if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) continue;
        const std::string port = std::format("{}", p.host_port);
        if (errno == EADDRINUSE)
            return base::fail(
                0, "forward port", port,
                std::format("it is taken by {}; choose another host port", owner_of(socket_inode(p.protocol, p.host_port))));
        return base::fail(errno, "forward port", port,
                          errno == EACCES ? "only root can use ports below 1024; choose a higher one" : "");
    }
    return {};
}

}  // namespace hostside
