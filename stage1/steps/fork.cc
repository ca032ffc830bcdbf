#include "stage1/steps/fork.h"

#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "mounts/base/at.h"
#include "mounts/devices/mount_file_system.h"
#include "mounts/exec/fork_news.h"
#include "stage1/base/tell_host.h"
#include "stage1/nixdb/register_live.h"
#include "stage1/steps/system.h"
#include "stage1/steps/target.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;
using mounts::exec::ForkNews;

// Without this, each fork's random generator would give the numbers that the saved machine's would have given. The new bytes are
// credited as entropy and used at once.
Result<> reseed(const std::string &entropy) {
    constexpr const char *device = "/dev/urandom";
    constexpr size_t most = 256;
    struct {
        int bits, bytes;
        std::array<char, most> data;
    } pool{};
    const size_t size = std::min(entropy.size(), most);
    pool.bits = static_cast<int>(size * 8);
    pool.bytes = static_cast<int>(size);
    std::memcpy(pool.data.data(), entropy.data(), size);
    auto random = base::open_at(AT_FDCWD, device, O_WRONLY);
    if (!random) return std::unexpected(random.error());
    if (::ioctl(random->get(), RNDADDENTROPY, &pool) < 0 || ::ioctl(random->get(), RNDRESEEDCRNG) < 0)
        return fail(errno, "reseed", device);
    return {};
}

Result<> set_clock(int64_t time_ns) {
    constexpr int64_t second = 1'000'000'000;
    const timespec now{static_cast<time_t>(time_ns / second), static_cast<long>(time_ns % second)};
    return ::clock_settime(CLOCK_REALTIME, &now) == 0 ? Result<>() : fail(errno, "set", "the clock");
}

// Mounts a new text over a file until the machine ends. systemd does this with a machine id that it cannot store, and
// systemd-nspawn with the kernel's boot id.
Result<> cover(const char *path, const char *with, const std::string &text) {
    struct stat st{};
    if (::stat(path, &st) < 0) return errno == ENOENT ? Result<>() : fail(errno, "stat", path);
    (void)::mkdir("/run", 0755);
    if (auto written = base::replace_file(with, text + "\n", 0444); !written) return written;
    return ::mount(with, path, nullptr, MS_BIND, nullptr) == 0 ? Result<>() : fail(errno, "mount", path);
}

constexpr size_t address_bytes = 6;

// "52:54:00:12:34:56"
bool read_address(const std::string &text, sockaddr &address) {
    std::array<unsigned, address_bytes> bytes{};
    if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]) != 6)
        return false;
    address.sa_family = ARPHRD_ETHER;
    for (size_t i = 0; i < bytes.size(); ++i) address.sa_data[i] = static_cast<char>(bytes[i]);
    return true;
}

Result<> give_address(int socket, ifreq card, const ForkNews &news) {
    if (::ioctl(socket, SIOCGIFHWADDR, &card) < 0 || card.ifr_hwaddr.sa_family != ARPHRD_ETHER) return {};
    for (const auto &[before, after] : news.cards) {
        sockaddr old{}, own{};
        if (!read_address(before, old) || !read_address(after, own)) return fail(0, "read address", after);
        if (!std::equal(old.sa_data, old.sa_data + address_bytes, card.ifr_hwaddr.sa_data)) continue;
        card.ifr_hwaddr = own;
        return ::ioctl(socket, SIOCSIFHWADDR, &card) == 0 ? Result<>() : fail(errno, "give an address to", card.ifr_name);
    }
    return {};
}

// This works on a card that is up, because virtio_net has IFF_LIVE_ADDR_CHANGE. The kernel numbers interfaces from 1. Asking for
// one number after the other is much less work for an emulated machine than reading /sys, because little code is emulated.
Result<> give_addresses(const ForkNews &news) {
    constexpr int largest_gap = 64;
    const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (int index = 1, missing = 0; missing < largest_gap; ++index) {
        ifreq card{};
        card.ifr_ifindex = index;
        if (::ioctl(socket.get(), SIOCGIFNAME, &card) < 0) {
            if (errno != ENODEV) return {};  // a kernel without a network
            ++missing;
            continue;
        }
        missing = 0;
        if (auto given = give_address(socket.get(), card, news); !given) return given;
    }
    return {};
}

}  // namespace

Result<> become_fork(const std::string &text) {
    const auto news = mounts::exec::parse_fork_news(text);
    if (!news) return fail(0, "become a fork", "", "what the launcher says is not understood; is the snapshot of another runvm?");
    if (auto done = reseed(news->entropy); !done) return done;
    if (auto done = set_clock(news->time_ns); !done) return done;
    if (!news->host_name.empty() && ::sethostname(news->host_name.data(), news->host_name.size()) < 0)
        return fail(errno, "set host name", news->host_name);
    if (auto done = cover("/etc/machine-id", "/run/machine-id", news->machine_id); !done) return done;
    if (auto done = cover("/proc/sys/kernel/random/boot_id", "/run/boot-id", news->boot_id); !done) return done;
    return give_addresses(*news);
}

Result<> wait_to_be_forked() {
    ::sync();  // otherwise each fork would write the same again
    return wait_for_fork().and_then(become_fork);
}

Result<std::string> register_new_paths(const std::string &target_root, const std::string &file) {
    const auto there = real_path(target_root, target_root + file, O_NOFOLLOW);
    if (!there && there.error().code == ENOENT) return std::string();
    if (!there) return std::unexpected(there.error());
    auto done = nixdb::register_live({.target_root = target_root, .reginfo = file});
    if (!done)
        done.error().hint +=
            std::string(done.error().hint.empty() ? "" : "; ") + "leave out the new paths, or make a new snapshot";
    (void)::unlink(there->c_str());  // nothing reads it again
    return done.transform([](const nixdb::LiveReport &report) { return nixdb::describe(report); });
}

Result<> mount_late(const std::vector<mounts::Mount> &mounts) {
    for (const auto &mount : mounts) {
        if (auto made = make_directory({.path = mount.target}); !made) return made;
        auto mounted = mounts::mount_file_system(mount);
        if (!mounted && !mount.optional) return std::unexpected(mounted.error());
    }
    return {};
}

int wake_fork(const std::string &news, const std::vector<mounts::Mount> &late) {
    const auto done = become_fork(news).and_then([&] { return mount_late(late); });
    if (done) return 0;
    (void)base::write_all(STDERR_FILENO, message(done.error()) + "\n", "stderr");
    return 1;
}

}  // namespace stage1
