#include "hostside/cli/relay_command.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <format>
#include <memory>
#include <string>

#include "hostside/base/exit_code.h"
#include "hostside/host/guest_relay.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

// Does one read and writes all of it. False: end of input, or the output is closed.
bool pass_on(int from, int to) {
    std::array<char, 65536> chunk;
    const ssize_t n = ::read(from, chunk.data(), chunk.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    return n > 0 && base::write_all(to, {chunk.data(), static_cast<size_t>(n)}, "relay").has_value();
}

// Prints no errors, because nobody would read them. The guest sees its connection end.
int relay(const std::string &address, int port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    const base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1 ||
        ::connect(socket.get(), reinterpret_cast<const sockaddr *>(&to), sizeof to) < 0)
        return launcher_error;
    std::array<pollfd, 2> polls{{{STDIN_FILENO, POLLIN, 0}, {socket.get(), POLLIN, 0}}};
    for (;;) {
        if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return launcher_error;
        if (polls[1].revents != 0 && !pass_on(socket.get(), STDOUT_FILENO)) return 0;
        if (polls[0].revents == 0 || pass_on(STDIN_FILENO, socket.get())) continue;
        polls[0].fd = -1;  // the guest has sent everything; the answer may still come
        polls[0].revents = 0;
        (void)::shutdown(socket.get(), SHUT_WR);
    }
}

}  // namespace

void add_relay_command(CLI::App &app, int &status) {
    struct Words {
        std::string socket, address;
        int port = 0;
    };
    auto words = std::make_shared<Words>();
    CLI::App *command = app.add_subcommand("relay", "connect standard input and output to a TCP port");
    command->group("");  // for QEMU, not for users
    command->add_option("socket", words->socket)->required();
    command->add_option("address", words->address)->required();
    command->add_option("port", words->port)->required();
    command->callback([&status, words] {
        // A machine that was started without a launcher (--print) has no other relay.
        const bool taken = hand_over(words->socket, std::format("{} {}", words->address, words->port), STDIN_FILENO).has_value();
        status = taken ? 0 : relay(words->address, words->port);
    });
}

}  // namespace hostside
