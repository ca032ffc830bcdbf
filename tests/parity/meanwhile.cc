// What others see of an object between the moment when its copy gets a name in the upper and the end of the copy-up.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "mounts/base/fd.h"
#include "tests/parity/cut.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

// A union in store mode whose daemon is stopped in a copy-up, while `meanwhile` runs in a thread of its own. The daemon goes on
// when that is done, or after two seconds, because it may have to wait for the copy-up.
class StoppedCopyUp {
  public:
    StoppedCopyUp() {
        char name[] = "/tmp/meanwhile-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base_ = name;
        disk_.emplace(base_, parity::backing());
        for (const char *directory : {"ours", "upper", "work", "lower/directory/inner"})
            fs::create_directories(base_ / directory);
        std::ofstream(base_ / "lower/directory/file") << "of the lower";
        cutter_.emplace(
            std::vector<std::string>{
                parity::program(), "-f", "-o",
                std::format("mode=store,lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", base_.string()), base_ / "ours"},
            [this](int call) { at_call(call); });
        struct stat below{}, at{};
        ::stat(base_.c_str(), &below);
        for (int i = 0; i < 500 && (::stat(root().c_str(), &at) != 0 || at.st_dev == below.st_dev); ++i) ::usleep(10000);
        REQUIRE(at.st_dev != below.st_dev);
    }
    StoppedCopyUp(const StoppedCopyUp &) = delete;
    StoppedCopyUp &operator=(const StoppedCopyUp &) = delete;
    ~StoppedCopyUp() {
        ::umount2(root().c_str(), MNT_DETACH);
        cutter_.reset();
        disk_.reset();
        ::rmdir(base_.c_str());
    }

    [[nodiscard]] fs::path root() const { return base_ / "ours"; }

    // `change` copies up one object whose parent is in the upper already.
    void run(const std::function<void()> &change, const std::function<void()> &meanwhile) {
        meanwhile_ = meanwhile;
        cutter_->arm(true);
        change();
        cutter_->arm(false);
        REQUIRE(thread_.joinable());  // else it never was between the two
        thread_.join();
    }

  private:
    void at_call(int call) {
        if (named_ && !thread_.joinable()) {
            thread_ = std::thread([this] {
                meanwhile_();
                done_ = true;
            });
            for (int i = 0; i < 200 && !done_; ++i) ::usleep(10000);
        }
        named_ = named_ || call == SYS_renameat;
    }

    fs::path base_;
    std::optional<support::Backing> disk_{};
    bool named_ = false;
    std::atomic<bool> done_ = false;
    std::function<void()> meanwhile_{};
    std::thread thread_{};
    std::optional<parity::Cutter> cutter_{};
};

// With the attributes of its entries.
void list_with_attributes(const fs::path &directory) {
    DIR *entries = ::opendir(directory.c_str());
    if (entries == nullptr) return;
    while (const dirent *entry = ::readdir(entries)) {
        struct stat status{};
        (void)::fstatat(::dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW);
    }
    ::closedir(entries);
}

std::string content_by_name(const fs::path &path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a file that is listed in the middle of its copy-up stays one file with one cache") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    StoppedCopyUp stack;
    const fs::path directory = stack.root() / "directory";
    std::ofstream(directory / "new").close();  // copies the directory up
    const base::Fd file(::open((directory / "file").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(file.valid());
    stack.run([&] { CHECK(::fchmod(file.get(), 0600) == 0); },
              [&] {
                  list_with_attributes(directory);
                  (void)content_by_name(directory / "file");
              });
    REQUIRE(::pwrite(file.get(), "OF", 2, 0) == 2);
    CHECK(content_by_name(directory / "file") == "OF the lower");
}

TEST_CASE("a directory that is listed in the middle of its copy-up stays one directory with one cache") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    StoppedCopyUp stack;
    const fs::path directory = stack.root() / "directory";
    std::ofstream(directory / "new").close();
    const base::Fd inner(::open((directory / "inner").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(inner.valid());
    struct stat status{};
    stack.run([&] { CHECK(::fchmod(inner.get(), 0700) == 0); },
              [&] {
                  list_with_attributes(directory);
                  (void)::stat((directory / "inner/made").c_str(), &status);
              });
    REQUIRE(::mkdirat(inner.get(), "made", 0700) == 0);
    CHECK(::stat((directory / "inner/made").c_str(), &status) == 0);
}
