// Objects that are removed while open, more of them than the daemon may have descriptors.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <fstream>
#include <vector>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::Mounted;

namespace {

namespace fs = std::filesystem;

// Sets the soft limit of descriptors of this process and its children for this object's lifetime.
class FileLimit {
  public:
    explicit FileLimit(rlim_t most) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit limit{most, std::max(most, before_.rlim_max)};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    ~FileLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    FileLimit(const FileLimit &) = delete;
    FileLimit &operator=(const FileLimit &) = delete;

  private:
    rlimit before_{};
};

size_t descriptors(pid_t pid) {
    const fs::directory_iterator open(std::format("/proc/{}/fd", pid));
    return static_cast<size_t>(std::distance(begin(open), end(open)));
}

constexpr int files = 1500, pairs = 100, unnamed = 100, directories = 200;

std::string text_of(size_t number) { return "text " + std::to_string(number); }

// Created files, lower files with two names, files without a name: each contains its text_of() and has no name left.
std::vector<Fd> open_removed_files(const fs::path &root) {
    std::vector<Fd> open;
    const auto keep = [&](Fd file) {
        REQUIRE(file);
        const std::string text = text_of(open.size());
        REQUIRE(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
        open.push_back(std::move(file));
    };
    for (int i = 0; i < files; ++i) {
        keep(Fd(::open((root / "file").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)));
        REQUIRE(::unlink((root / "file").c_str()) == 0);
    }
    for (int i = 0; i < pairs; ++i) {
        const fs::path name = root / std::format("pair-{}", i);
        keep(Fd(::open(name.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC)));
        REQUIRE(::unlink(name.c_str()) == 0);
        REQUIRE(::unlink((name.string() + "-other").c_str()) == 0);
    }
    for (int i = 0; i < unnamed; ++i) keep(Fd(::open(root.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)));
    return open;
}

std::vector<Fd> open_removed_directories(const fs::path &root) {
    std::vector<Fd> open;
    for (int i = 0; i < directories; ++i) {
        REQUIRE(::mkdir((root / "directory").c_str(), 0755) == 0);
        open.emplace_back(::open((root / "directory").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        REQUIRE(::rmdir((root / "directory").c_str()) == 0);
        REQUIRE(::fchmod(open.back().get(), 0700 + static_cast<mode_t>(i) % 64) == 0);
    }
    return open;
}

// The numbers of those whose state changed.
std::vector<size_t> changed(const std::vector<Fd> &open, const std::vector<Fd> &stood_in) {
    std::vector<size_t> found;
    struct stat status{};
    for (size_t i = 0; i < open.size(); ++i) {
        std::string text(32, '\0');
        const ssize_t n = ::pread(open[i].get(), text.data(), text.size(), 0);
        text.resize(n < 0 ? 0 : static_cast<size_t>(n));
        if (text != text_of(i) || ::fstat(open[i].get(), &status) != 0 || status.st_nlink != 0) found.push_back(i);
    }
    for (size_t i = 0; i < stood_in.size(); ++i)
        if (::fstat(stood_in[i].get(), &status) != 0 || status.st_nlink != 0 || (status.st_mode & 0777) != 0700 + i % 64)
            found.push_back(open.size() + i);
    return found;
}

// Writes to the file, whatever the kernel has cached of it.
bool can_be_written(const Fd &file) { return ::pwrite(file.get(), "more", 4, 100) == 4 && ::ftruncate(file.get(), 50) == 0; }

}  // namespace

TEST_CASE("whoever keeps removed files open takes others no descriptor, a new worker has them, and nothing is left of them") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (int i = 0; i < pairs; ++i) {
        std::ofstream(stack.lower() / std::format("pair-{}", i)) << "lower";
        fs::create_hard_link(stack.lower() / std::format("pair-{}", i), stack.lower() / std::format("pair-{}-other", i));
    }
    std::ofstream(stack.lower() / "another's") << "lower";
    {
        const FileLimit few(1024);
        stack.mount("max_files=64");
    }
    const FileLimit many(8192);
    {
        const std::vector<Fd> open = open_removed_files(stack.root());
        const std::vector<Fd> stood_in = open_removed_directories(stack.root());
        CHECK(descriptors(stack.worker()) < 64 + 1024 + 256);
        std::ofstream(stack.root() / "another's", std::ios::app) << " and ours";
        CHECK(fs::file_size(stack.upper() / "another's") == 14);
        CHECK(changed(open, stood_in).empty());
        const pid_t worker = stack.worker();
        REQUIRE(::kill(worker, SIGKILL) == 0);
        CHECK(changed(open, stood_in).empty());
        for (const size_t i : {size_t{0}, open.size() - 1, open.size() - unnamed - 1, size_t{files - 1}})
            CHECK(can_be_written(open[i]));
        CHECK(stack.worker() != worker);
        CHECK_FALSE(fs::is_empty(stack.work() / "work"));
    }
    for (int i = 0; i < 100 && !fs::is_empty(stack.work() / "work"); ++i) ::usleep(100000);  // until the kernel's forget arrives
    CHECK(fs::is_empty(stack.work() / "work"));
    CHECK(fs::is_empty(stack.work() / "links"));
    CHECK(stack.unmount() == 0);
    CHECK(fs::is_empty(stack.work() / "work"));
}
