// Connections of a guest that opens many.
#include "hostside/host/guest_relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <string>
#include <thread>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "tests/support/disk.h"

namespace {

using base::Fd;
using hostside::GuestRelay;

// A host service that returns the first bytes of each connection and closes it.
class Echo {
  public:
    Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0);
        REQUIRE(::listen(listener_.get(), 256) == 0);
        REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
        target = "127.0.0.1 " + std::to_string(ntohs(address.sin_port));
        thread_ = std::thread([this] { serve(); });
    }
    ~Echo() {
        (void)::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    Echo(const Echo &) = delete;
    Echo &operator=(const Echo &) = delete;
    std::string target;

  private:
    void serve() const {
        std::vector<std::thread> each;
        for (;;) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) break;
            each.emplace_back([fd] {
                const Fd socket(fd);
                const auto words = base::read_all(fd, "echo", 1 << 22);
                if (words) (void)base::write_all(fd, *words, "echo");
            });
        }
        for (auto &one : each) one.join();
    }
    Fd listener_;
    std::thread thread_;
};

// The guest's end of a connection that the relay received.
Fd opened(const std::string &path, const std::string &target) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    Fd ours(ends[0]);
    const Fd theirs(ends[1]);
    REQUIRE(hostside::hand_over(path, target, theirs.get()));
    return ours;
}

std::string answer(const Fd &connection, const std::string &words) {
    std::thread writer([&] {
        for (size_t sent = 0; sent < words.size();) {
            const ssize_t n = ::send(connection.get(), words.data() + sent, words.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return;
            sent += static_cast<size_t>(n);
        }
        (void)::shutdown(connection.get(), SHUT_WR);
    });
    const auto text = base::read_all(connection.get(), "answer", 1 << 22);
    writer.join();
    return text.value_or("");
}

// Retries until there is room for a new connection, and returns its answer.
std::string answer_in_time(const std::string &path, const std::string &target, const std::string &words) {
    std::string text;
    for (int i = 0; i < 500 && text.empty(); ++i) {
        text = answer(opened(path, target), words);
        if (text.empty()) ::usleep(10'000);
    }
    return text;
}

}  // namespace

TEST_CASE("a guest's connections go through one relay, whole, and as many as there is room for") {
    const support::ScratchDirectory scratch;
    const Echo echo;
    const auto relay = GuestRelay::listen(scratch.path("relay"), {echo.target});
    REQUIRE(relay);
    CHECK(answer(opened(scratch.path("relay"), echo.target), "words") == "words");
    const std::string long_words(3 << 20, 'x');
    CHECK(answer(opened(scratch.path("relay"), echo.target), long_words) == long_words);
    std::vector<Fd> open;
    for (size_t i = 0; i < GuestRelay::most + 200; ++i) open.push_back(opened(scratch.path("relay"), echo.target));
    const auto closed = [&] {
        return std::ranges::count_if(open, [](const Fd &fd) {
            pollfd wait{fd.get(), 0, 0};
            return ::poll(&wait, 1, 0) == 1 && (wait.revents & POLLHUP) != 0;
        });
    };
    for (int i = 0; i < 500 && closed() < 200; ++i) ::usleep(10'000);
    size_t answered = 0;
    for (const auto &one : open) answered += answer(one, "still here") == "still here" ? 1 : 0;
    CHECK(answered <= GuestRelay::most);
    CHECK(answered >= GuestRelay::most - 2);  // the two from before may still be open
    open.clear();
    CHECK(answer_in_time(scratch.path("relay"), echo.target, "again") == "again");
}

TEST_CASE("a relay connects to what the description names alone, and leaves no socket") {
    const support::ScratchDirectory scratch;
    {
        const Echo named, other;
        const auto relay = GuestRelay::listen(scratch.path("relay"), {named.target});
        REQUIRE(relay);
        CHECK(answer(opened(scratch.path("relay"), other.target), "words").empty());
        CHECK(answer(opened(scratch.path("relay"), "no target"), "words").empty());
        CHECK(answer(opened(scratch.path("relay"), named.target), "words") == "words");
    }
    CHECK(std::filesystem::is_empty(scratch.path()));
    CHECK_FALSE(hostside::hand_over(scratch.path("relay"), "x", 0));
}
