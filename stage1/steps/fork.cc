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

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "mounts/base/at.h"
#include "mounts/devices/mount_file_system.h"
#include "mounts/exec/fork_news.h"
#include "stage1/base/tell_host.h"
#include "stage1/steps/system.h"

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

// "52:54:00:12:34:56"
bool read_address(const std::string &text, sockaddr &address) {
    std::array<unsigned, 6> bytes{};
    if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]) != 6)
        return false;
    address.sa_family = ARPHRD_ETHER;
    for (size_t i = 0; i < bytes.size(); ++i) address.sa_data[i] = static_cast<char>(bytes[i]);
    return true;
}

// This works on a card that is up, because virtio_net has IFF_LIVE_ADDR_CHANGE.
Result<> give_addresses(const ForkNews &news) {
    std::error_code error;
    const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (const auto &card : std::filesystem::directory_iterator("/sys/class/net", error)) {
        auto has = base::read_file(card.path() / "address", 64);
        while (has && has->ends_with('\n')) has->pop_back();
        for (const auto &[before, after] : news.cards) {
            if (!has || *has != before) continue;
            const std::string name = card.path().filename();
            ifreq request{};
            name.copy(request.ifr_name, IFNAMSIZ - 1);
            if (!read_address(after, request.ifr_hwaddr) || ::ioctl(socket.get(), SIOCSIFHWADDR, &request) < 0)
                return fail(errno, "give an address to", name);
            break;
        }
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

Result<> wait_to_be_forked() { return wait_for_fork().and_then(become_fork); }

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
