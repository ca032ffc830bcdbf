#include "hostside/host/vlan.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <format>
#include <thread>
#include <utility>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/base/run_names.h"
#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr size_t frame_limit_bytes = 4096 + 65536;  // like QEMU (NET_BUFSIZE)
constexpr timeval patience{0, 20'000};              // for a busy guest; its queue holds a few frames

// A name that is a plain number is a guest's socket.
int node_of(std::string_view name) {
    int node = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), node);
    return error == std::errc{} && end == name.data() + name.size() ? node : 0;
}

Result<sockaddr_un> address_of(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(0, "socket", path, "the path is too long for a socket; set XDG_RUNTIME_DIR to a shorter directory");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

std::string place_lock(const std::string &directory, int node) { return std::format("{}/{}.lock", directory, node); }

std::string place_name(int vlan, int node) { return std::format("place {} on vlan {}", node, vlan); }

Result<FileLock> take_place(const std::string &directory, int vlan, int node) {
    constexpr int tries = 10;  // a machine that leaves may be removing the empty directory
    for (int i = 0;; ++i) {
        if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "mkdir", directory);
        auto lock = FileLock::take(place_lock(directory, node), place_name(vlan, node));
        if (!lock && lock.error().code == ENOENT && i < tries) continue;
        if (!lock && lock.error().code == 0) lock.error().hint += " nodeNumber";
        return lock;
    }
}

}  // namespace

class VlanPort::Forwarder {
  public:
    Forwarder(std::string directory, int vlan, int node, FileLock lock, Fd in, Fd out)
        : directory_(std::move(directory)),
          vlan_(vlan),
          node_(node),
          lock_(std::move(lock)),
          in_(std::move(in)),
          out_(std::move(out)) {
        // Signals are for the supervisor's thread.
        sigset_t all, old;
        sigfillset(&all);
        (void)::pthread_sigmask(SIG_SETMASK, &all, &old);
        thread_ = std::thread([this] { forward_all(); });
        (void)::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    }
    ~Forwarder() {
        leaving_ = true;
        (void)::shutdown(in_.get(), SHUT_RDWR);
        thread_.join();
        (void)::unlink(vlan_switch_socket(directory_, node_).c_str());
        (void)::unlink(vlan_guest_socket(directory_, node_).c_str());
    }
    Forwarder(const Forwarder &) = delete;
    Forwarder &operator=(const Forwarder &) = delete;

    [[nodiscard]] const std::string &directory() const { return directory_; }

  private:
    struct Peer {
        int node = 0;
        sockaddr_un address{};
        bool stuck = false;  // accepted nothing within `patience`; from then on we do not wait for it
    };

    void forward_all() {
        std::vector<char> frame(frame_limit_bytes);
        for (;;) {
            const ssize_t n = ::recv(in_.get(), frame.data(), frame.size(), 0);
            if (leaving_ || (n < 0 && errno != EINTR)) return;
            if (n <= 0) continue;
            look_who_is_there();
            forward({frame.data(), static_cast<size_t>(n)});
        }
    }

    // A directory's mtime changes when names are added or removed.
    void look_who_is_there() {
        struct stat st{};
        if (::stat(directory_.c_str(), &st) < 0) return;
        if (st.st_mtim.tv_sec == seen_.tv_sec && st.st_mtim.tv_nsec == seen_.tv_nsec) return;
        seen_ = st.st_mtim;
        peers_.clear();
        for (const std::string &name : base::names_in(directory_).value_or(base::Names{})) {
            const int node = node_of(name);
            if (node == 0 || node == node_) continue;
            if (auto address = address_of(vlan_guest_socket(directory_, node))) peers_.push_back({node, *address});
        }
    }

    void forward(std::string_view frame) {
        // A MAC contains the numbers of its switch and machine. Such frames go to one machine, all others to all.
        const std::array<char, 5> ours{0x52, 0x54, 0x00, 0x12, static_cast<char>(vlan_)};
        const int to = frame.starts_with(std::string_view(ours.data(), ours.size())) && frame.size() > ours.size()
                           ? static_cast<unsigned char>(frame[ours.size()])
                           : 0;
        const bool known = std::ranges::contains(peers_, to, &Peer::node);
        for (Peer &peer : peers_) {
            if (known && peer.node != to) continue;
            const ssize_t sent = ::sendto(out_.get(), frame.data(), frame.size(), MSG_NOSIGNAL | (peer.stuck ? MSG_DONTWAIT : 0),
                                          reinterpret_cast<const sockaddr *>(&peer.address), sizeof peer.address);
            // Lost frames stay lost, as on a wire: their machine has ended or does not listen yet.
            peer.stuck = sent < 0 && errno == EAGAIN;
        }
    }

    std::string directory_;
    int vlan_, node_;
    FileLock lock_;
    Fd in_, out_;
    std::vector<Peer> peers_;
    timespec seen_{};
    std::atomic<bool> leaving_ = false;
    std::thread thread_;
};

VlanPort::VlanPort(std::unique_ptr<Forwarder> forwarder) : forwarder_(std::move(forwarder)) {}
VlanPort::VlanPort(VlanPort &&) noexcept = default;

VlanPort::~VlanPort() {
    if (!forwarder_) return;
    const std::string directory = forwarder_->directory();
    forwarder_.reset();
    (void)::rmdir(directory.c_str());  // fails while others are there
}

Result<> VlanPort::is_free(const std::string &runtime, int vlan, int node) {
    const std::string directory = vlan_directory(runtime, vlan);
    if (auto address = address_of(vlan_switch_socket(directory, node)); !address) return std::unexpected(address.error());
    auto free = FileLock::is_free(place_lock(directory, node), place_name(vlan, node));
    if (!free) free.error().hint += " nodeNumber";
    return free;
}

Result<VlanPort> VlanPort::join(const std::string &runtime, int vlan, int node) {
    const std::string directory = vlan_directory(runtime, vlan);
    const std::string path = vlan_switch_socket(directory, node);
    auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    auto lock = take_place(directory, vlan, node);
    if (!lock) return std::unexpected(lock.error());
    // Left by a killed launcher; the lock proves that nobody uses them.
    (void)::unlink(path.c_str());
    (void)::unlink(vlan_guest_socket(directory, node).c_str());
    Fd in(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    Fd out(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!in || !out || ::bind(in.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address) < 0 ||
        ::setsockopt(out.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        return fail(errno, "join vlan", path);
    return VlanPort(std::make_unique<Forwarder>(directory, vlan, node, std::move(*lock), std::move(in), std::move(out)));
}

}  // namespace hostside
