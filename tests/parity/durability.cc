// What is on the disk when a call returns, checked by the order of the daemon's system calls, because a test can't drop the
// host's dirty pages.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>
#include <mutex>
#include <optional>
#include <vector>

#include "mounts/base/fd.h"
#include "tests/parity/cut.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

// A union, and the calls that its daemon makes.
class Watched {
  public:
    explicit Watched(const std::string &mode) {
        char name[] = "/tmp/durable-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base_ = name;
        disk_.emplace(base_, parity::backing());
        for (const char *directory : {"ours", "lower", "upper", "work"}) fs::create_directory(base_ / directory);
        std::ofstream(base_ / "lower/file") << "lower data";
        cutter_.emplace(std::vector<std::string>{parity::program(), "-f", "-o",
                                                 std::format("mode={1},lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work",
                                                             base_.string(), mode),
                                                 base_ / "ours"},
                        [this](int call) {
                            const std::lock_guard lock(mutex_);
                            calls_.push_back(call);
                        });
        struct stat below{}, at{};
        ::stat(base_.c_str(), &below);
        for (int i = 0; i < 500 && (::stat((base_ / "ours").c_str(), &at) != 0 || at.st_dev == below.st_dev); ++i)
            ::usleep(10000);
        REQUIRE(at.st_dev != below.st_dev);
    }
    Watched(const Watched &) = delete;
    Watched &operator=(const Watched &) = delete;
    ~Watched() {
        ::umount2((base_ / "ours").c_str(), MNT_DETACH);
        cutter_.reset();
        disk_.reset();
        ::rmdir(base_.c_str());
    }

    [[nodiscard]] fs::path root() const { return base_ / "ours"; }
    std::vector<int> during(const std::function<void()> &operation) {
        calls_.clear();
        cutter_->arm(true);
        operation();
        cutter_->arm(false);
        const std::lock_guard lock(mutex_);
        return calls_;
    }

  private:
    fs::path base_;
    std::optional<support::Backing> disk_{};
    std::mutex mutex_;
    std::vector<int> calls_{};
    std::optional<parity::Cutter> cutter_{};
};

bool gives_name(int call) { return call == SYS_linkat || call == SYS_renameat || call == SYS_renameat2; }

}  // namespace

TEST_CASE("a copy is on the disk before it has its name in the upper") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const std::string mode : {"store", "throughput"}) {
        CAPTURE(mode);
        Watched watched(mode);
        const auto calls = watched.during([&] { REQUIRE(::chmod((watched.root() / "file").c_str(), 0600) == 0); });
        const auto named = std::ranges::find_if(calls, gives_name);
        REQUIRE(named != calls.end());
        CHECK(std::find_if(calls.begin(), named, parity::is_sync) != named);
    }
}

TEST_CASE("fsync of a file of the upper waits for the disk") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const std::string mode : {"store", "throughput"}) {
        CAPTURE(mode);
        Watched watched(mode);
        const base::Fd file(::open((watched.root() / "new").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        REQUIRE(::pwrite(file.get(), "data", 4, 0) == 4);
        const auto calls = watched.during([&] { REQUIRE(::fsync(file.get()) == 0); });
        CHECK(std::ranges::any_of(calls, parity::is_sync));
    }
}

TEST_CASE("fsync of a directory of the upper waits for the disk") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const std::string mode : {"store", "throughput"}) {
        CAPTURE(mode);
        Watched watched(mode);
        REQUIRE(::mkdir((watched.root() / "directory").c_str(), 0755) == 0);
        const base::Fd directory(::open((watched.root() / "directory").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto calls = watched.during([&] { REQUIRE(::fsync(directory.get()) == 0); });
        CHECK(std::ranges::any_of(calls, parity::is_sync));
    }
}
