#include "hostside/host/guest_relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <list>
#include <thread>
#include <utility>

#include "hostside/base/passed_fds.h"
#include "hostside/base/unix_socket.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr size_t chunk_bytes = 65536;

bool would_block() { return errno == EAGAIN || errno == EINTR; }

// `target` is "127.0.0.1 80". Does not wait for the connection.
Fd connect_to(const std::string &target) {
    const size_t space = target.find(' ');
    uint16_t port = 0;
    const char *end = target.data() + target.size();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    if (space == std::string::npos || std::from_chars(target.data() + space + 1, end, port).ptr != end ||
        ::inet_pton(AF_INET, target.substr(0, space).c_str(), &to.sin_addr) != 1)
        return {};
    to.sin_port = htons(port);
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&to), sizeof to) < 0 && errno != EINPROGRESS) return {};
    return socket;
}

// One direction of a connection.
struct Way {
    std::string waiting;  // read but not yet written
    bool ended = false;   // the sender has closed its end
    bool closed = false;  // and the receiver was told
};

struct Connection {
    Fd guest, host;
    Way to_host, to_guest;

    // The guest has sent everything, and it was passed on to the host.
    [[nodiscard]] bool asked() const { return to_host.ended && to_host.waiting.empty(); }
    [[nodiscard]] bool over() const { return !guest || !host || to_guest.closed; }
    static short wanted(const Way &out, const Way &in) {
        return static_cast<short>((out.ended || !out.waiting.empty() ? 0 : POLLIN) | (in.waiting.empty() ? 0 : POLLOUT));
    }
    [[nodiscard]] short of_guest() const { return wanted(to_host, to_guest); }
    [[nodiscard]] short of_host() const { return wanted(to_guest, to_host); }

    // False: the connection failed.
    static bool pass_on(int from, int to, Way &way) {
        if (way.waiting.empty() && !way.ended) {
            way.waiting.resize(chunk_bytes);
            const ssize_t n = ::recv(from, way.waiting.data(), way.waiting.size(), MSG_DONTWAIT);
            way.waiting.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
            if (n < 0 && !would_block() && errno != ENOTCONN) return false;
            way.ended = n == 0;
        }
        if (!way.waiting.empty()) {
            const ssize_t n = ::send(to, way.waiting.data(), way.waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && !would_block() && errno != ENOTCONN) return false;
            way.waiting.erase(0, static_cast<size_t>(std::max<ssize_t>(n, 0)));
        }
        if (way.ended && way.waiting.empty() && !std::exchange(way.closed, true)) (void)::shutdown(to, SHUT_WR);
        return true;
    }
    void move() {
        if (!pass_on(guest.get(), host.get(), to_host) || !pass_on(host.get(), guest.get(), to_guest)) guest.reset();
    }
};

// What hand_over sent: the target and a descriptor. Empty: a message from another program.
struct Offer {
    std::string target;
    Fd connection;
};
Offer receive_offer(int socket) {
    constexpr size_t target_limit_bytes = 64;
    auto passed = receive_fds(socket, target_limit_bytes, 1);
    if (!passed || passed->fds.empty()) return {};
    return {std::move(passed->bytes), std::move(passed->fds.front())};
}

}  // namespace

class GuestRelay::Thread {
  public:
    Thread(std::string path, Fd listener, Fd end, std::vector<std::string> targets)
        : path_(std::move(path)), targets_(std::move(targets)), listener_(std::move(listener)), end_(std::move(end)) {
        // Signals are for the supervisor's thread.
        sigset_t all, old;
        sigfillset(&all);
        (void)::pthread_sigmask(SIG_SETMASK, &all, &old);
        thread_ = std::thread([this] { relay_all(); });
        (void)::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    }
    ~Thread() {
        (void)::eventfd_write(end_.get(), 1);
        thread_.join();
        (void)::unlink(path_.c_str());
    }
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

  private:
    void relay_all() {
        std::vector<pollfd> polls;
        for (;;) {
            polls.assign({{end_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}});
            for (const Connection &c : connections_) {
                // poll reports a closed end regardless of the requested events, and repeatedly. Leave a descriptor out if
                // nothing can be done about its end.
                polls.push_back({c.of_guest() != 0 || c.asked() ? c.guest.get() : -1, c.of_guest(), 0});
                polls.push_back({c.of_host() != 0 ? c.host.get() : -1, c.of_host(), 0});
            }
            if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return;
            if (polls[0].revents != 0) return;
            size_t i = 2;
            for (Connection &c : connections_) {
                if (polls[i].revents != 0 || polls[i + 1].revents != 0) c.move();
                if (((polls[i].revents | polls[i + 1].revents) & POLLERR) != 0) c.guest.reset();
                if ((polls[i].revents & POLLHUP) != 0 && c.asked()) c.guest.reset();  // nobody waits for the answer
                i += 2;
            }
            connections_.remove_if([](const Connection &c) { return c.over(); });
            if (polls[1].revents != 0) take();
        }
    }

    // Rejected connections are closed, so the guest sees them end.
    void take() {
        const Fd messenger(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        constexpr timeval patience{1, 0};  // our own program sends immediately
        (void)::setsockopt(messenger.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        Offer offer = messenger ? receive_offer(messenger.get()) : Offer{};
        if (!offer.connection || connections_.size() >= most || !std::ranges::contains(targets_, offer.target)) return;
        Fd host = connect_to(offer.target);
        if (host) connections_.push_back({std::move(offer.connection), std::move(host), {}, {}});
    }

    std::string path_;
    std::vector<std::string> targets_;
    Fd listener_, end_;
    std::list<Connection> connections_;
    std::thread thread_;
};

GuestRelay::GuestRelay(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
GuestRelay::GuestRelay(GuestRelay &&) noexcept = default;
GuestRelay::~GuestRelay() = default;

Result<GuestRelay> GuestRelay::listen(const std::string &path, std::vector<std::string> targets) {
    auto listener = listen_unix(path);
    if (!listener) return std::unexpected(listener.error());
    Fd end(::eventfd(0, EFD_CLOEXEC));
    if (!end) return fail(errno, "eventfd", path);
    return GuestRelay(std::make_unique<Thread>(path, std::move(*listener), std::move(end), std::move(targets)));
}

Result<> hand_over(const std::string &path, const std::string &target, int connection) {
    auto socket = connect_unix(path);
    if (!socket) return std::unexpected(socket.error());
    return send_fds(socket->get(), {{connection}}, target);
}

}  // namespace hostside
