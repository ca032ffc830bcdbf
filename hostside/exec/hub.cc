#include "hostside/exec/hub.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <format>
#include <memory>
#include <thread>
#include <vector>

#include "hostside/base/run_names.h"
#include "hostside/base/unix_socket.h"
#include "hostside/qemu/events.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "mounts/exec/byte_queue.h"
#include "mounts/exec/frame.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Fd;
using mounts::exec::End;
using mounts::exec::Frame;
using mounts::exec::FrameType;

constexpr size_t port_limit_bytes = size_t{1} << 20;  // above this, clients wait
// The windows of two streams, and small frames. A guest that sends more violates the protocol.
constexpr size_t client_limit_bytes = 2 * mounts::exec::window_bytes + (size_t{256} << 10);
constexpr size_t most_clients = 1000;

// Reads what is available, if anything. False: the other end is closed.
bool receive(const Fd &fd, mounts::exec::FrameReader &reader) {
    std::array<char, 65536> chunk;
    const ssize_t n = ::recv(fd.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n > 0) reader.take({chunk.data(), static_cast<size_t>(n)});
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// Sends as much as possible without blocking. False: the other end is closed.
bool send(const Fd &fd, mounts::ByteQueue &queue) {
    while (!queue.empty()) {
        const ssize_t n = ::send(fd.get(), queue.front().data(), queue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        queue.consume(static_cast<size_t>(n));
    }
    return true;
}

struct Connection {
    Fd socket;
    uint32_t id = 0;
    mounts::exec::FrameReader in{};
    mounts::ByteQueue out{};
    bool running = false;  // the agent knows about it
    bool gone = false;
};

class Hub {
  public:
    Hub(Fd listener, Fd port, Fd events, bool restored)
        : listener_(std::move(listener)), port_(std::move(port)), events_(std::move(events)) {
        if (!restored) return;
        port_out_.tail().append(mounts::exec::resync_bytes, '\0');
        append_frame(port_out_.tail(), FrameType::welcome, 0);
    }

    void to_the_end() {
        for (;;) {
            const bool room = port_out_.size() < port_limit_bytes;
            std::vector<pollfd> polls{{listener_.get(), POLLIN, 0},
                                      {port_.get(), static_cast<short>(port_out_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
                                      {events_.fd(), POLLIN, 0}};
            for (const auto &client : clients_)
                polls.push_back({client->socket.get(),
                                 static_cast<short>((agent_ && room ? POLLIN : 0) | (client->out.empty() ? 0 : POLLOUT)), 0});
            (void)::poll(polls.data(), polls.size(), -1);
            const size_t known = clients_.size();
            for (size_t i = 0; i < known; ++i) serve(*clients_[i], polls[3 + i].revents);
            // An agent's last frames count, even if its end is known too.
            if ((polls[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
                if (!receive(port_, from_guest_)) return;
                while (const auto frame = from_guest_.next()) take_from_guest(*frame);
            }
            if (polls[2].revents != 0) take_events();
            if (!send(port_, port_out_)) return;
            for (const auto &client : clients_) client->gone = !send(client->socket, client->out) || client->gone;
            std::erase_if(clients_, [&](const auto &client) { return client->gone && (hang_up(*client), true); });
            if (polls[0].revents != 0) accept();
        }
    }

  private:
    void accept() {
        Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket || clients_.size() >= most_clients) return;
        clients_.push_back(std::make_unique<Connection>(Connection{.socket = std::move(socket), .id = ++last_id_}));
        tell_agent(*clients_.back());
    }

    // A guest may greet without end, and a client may be stopped.
    void tell_agent(Connection &client) const {
        if (client.out.size() <= client_limit_bytes) append_frame(client.out.tail(), FrameType::agent, 0, agent_ ? "1" : "0");
    }

    void hang_up(Connection &client) {
        if (client.running) append_frame(port_out_.tail(), FrameType::close, client.id);
        client.running = false;
    }

    void serve(Connection &client, short events) {
        if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
        // Before there is an agent, handle only POLLHUP: requests of clients that left are useless.
        if ((events & POLLIN) == 0 || !receive(client.socket, client.in)) {
            client.gone = true;
            return;
        }
        while (const auto frame = client.in.next()) {
            if (frame->type < FrameType::request || frame->type > FrameType::close) continue;
            if (frame->type == FrameType::start) client.running = true;
            append_frame(port_out_.tail(), frame->type, client.id, frame->payload);
        }
    }

    void end(Connection &client, const std::string &why) {
        if (client.running) append_frame(client.out.tail(), FrameType::exit, 0, mounts::exec::end_payload({End::failed, 0, why}));
        client.running = false;
    }

    void agent_left(const std::string &why) {
        agent_ = false;
        port_out_.clear();
        for (const auto &client : clients_) {
            end(*client, why);
            tell_agent(*client);
        }
    }

    void take_from_guest(const Frame &frame) {
        if (frame.type == FrameType::hello) {
            if (frame.payload.size() != mounts::exec::nonce_bytes) return;
            take_events();  // QEMU sent the end of the agent before this one first
            welcome(frame.payload);
            return;
        }
        const auto known = std::ranges::find(clients_, frame.session, [](const auto &client) { return client->id; });
        if (known == clients_.end() || !(*known)->running) return;
        Connection &client = **known;
        if (frame.type != FrameType::output && frame.type != FrameType::errors && frame.type != FrameType::credit &&
            frame.type != FrameType::exit)
            return;
        if (client.out.size() > client_limit_bytes) {
            hang_up(client);
            append_frame(client.out.tail(), FrameType::exit, 0,
                         mounts::exec::end_payload(
                             {End::failed, 0, "the guest sent more than it may; the answer is not from stage1's agent"}));
            return;
        }
        append_frame(client.out.tail(), frame.type, 0, frame.payload);
        if (frame.type == FrameType::exit) client.running = false;
    }

    void welcome(std::string_view nonce) {
        if (nonce != nonce_) {
            agent_left("the agent in the guest was restarted; the command's state is unknown");
            nonce_ = nonce;
        }
        // An agent that repeats its hello without reading gets no more answers: each is a thousand times as long.
        if (port_out_.size() >= port_limit_bytes) return;
        port_out_.tail().append(mounts::exec::resync_bytes, '\0');
        append_frame(port_out_.tail(), FrameType::welcome, 0, nonce_);
        agent_ = true;
        for (const auto &client : clients_) tell_agent(*client);
    }

    // The guest closed its end: the process that had it open is gone.
    void take_events() {
        for (const QemuEvent &event : events_.receive())
            if (event.kind == QemuEvent::port_closed && event.device == mounts::protocol::exec_port)
                agent_left("the agent in the guest ended; was it killed, or is the machine shutting down?");
    }

    Fd listener_, port_;
    QemuEvents events_;
    mounts::exec::FrameReader from_guest_;
    mounts::ByteQueue port_out_;
    std::vector<std::unique_ptr<Connection>> clients_;
    uint32_t last_id_ = 0;
    std::string nonce_;
    bool agent_ = false;
};

}  // namespace

base::Result<> run_hub(const std::string &run_directory, bool restored) {
    const auto at = [&](std::string_view name) { return run_directory + "/" + std::string(name); };
    auto listener = listen_unix(at(exec_socket));
    if (!listener) return std::unexpected(listener.error());
    constexpr auto pause = std::chrono::milliseconds(20);
    // Wait until QEMU listens. If that never happens, the launcher ends and takes us with it.
    for (;; std::this_thread::sleep_for(pause)) {
        auto events = connect_unix(at(exec_events_socket));
        auto port = events ? connect_unix(at(exec_port_socket)) : std::unexpected(events.error());
        if (!port) continue;
        Hub(std::move(*listener), std::move(*port), std::move(*events), restored).to_the_end();
        return {};
    }
}

HubProcess::HubProcess(const std::string &runvm, const std::string &run_directory, bool restored) {
    std::vector<std::string> argv{runvm, "exec-hub", run_directory};
    if (restored) argv.emplace_back("--restored");
    if (auto child = base::start({.argv = std::move(argv), .dies_with_parent = true})) pid_ = child->pid;
}

HubProcess::~HubProcess() {
    if (pid_ < 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
}

}  // namespace hostside
