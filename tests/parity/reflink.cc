// A copy-up where lower and upper are on one file system that shares extents: the copy takes no space.
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <optional>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

constexpr off_t size_bytes = 8 << 20;

// An XFS with a directory for each part of a stack, and the union of them.
class OnXfs {
  public:
    explicit OnXfs(const std::string &mode) : directory_(scratch_.path("xfs")) {
        const std::string image = scratch_.path("image");
        support::make_sparse_file(image, uint64_t{320} << 20);
        loop_.emplace(image);
        run({"mkfs.xfs", "-q", "-m", "reflink=1", loop_->path()});
        fs::create_directory(directory_);
        REQUIRE(::mount(loop_->path().c_str(), directory_.c_str(), "xfs", 0, nullptr) == 0);
        for (const char *name : {"lower", "upper", "work", "ours"}) fs::create_directory(directory_ / name);
        const std::string block(1 << 20, 'd');
        std::ofstream file(at("lower/big"));
        for (off_t written = 0; written < size_bytes; written += static_cast<off_t>(block.size())) file << block;
        file.close();
        run({parity::program(), "-o",
             std::format("mode={},lowerdir={},upperdir={},workdir={}", mode, at("lower"), at("upper"), at("work")), at("ours")});
    }
    ~OnXfs() {
        ::umount2(at("ours").c_str(), MNT_DETACH);
        ::umount2(directory_.c_str(), MNT_DETACH);
    }
    OnXfs(const OnXfs &) = delete;
    OnXfs &operator=(const OnXfs &) = delete;
    [[nodiscard]] std::string at(const std::string &name) const { return directory_ / name; }

  private:
    static void run(const std::vector<std::string> &words) {
        const auto exit = base::run({.argv = words, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
    }

    support::ScratchDirectory scratch_;
    fs::path directory_;
    std::optional<support::LoopDevice> loop_;
};

// The number of bytes in extents that the file shares with another.
uint64_t shared_bytes(const std::string &path) {
    const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    constexpr unsigned most = 256;
    alignas(fiemap) std::array<char, sizeof(fiemap) + most * sizeof(fiemap_extent)> room{};
    auto *map = reinterpret_cast<fiemap *>(room.data());
    map->fm_length = FIEMAP_MAX_OFFSET;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = most;
    REQUIRE(::ioctl(fd.get(), FS_IOC_FIEMAP, map) == 0);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < map->fm_mapped_extents; ++i)
        if ((map->fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED) != 0) bytes += map->fm_extents[i].fe_length;
    return bytes;
}

}  // namespace

TEST_CASE("a copy-up within one XFS shares the lower's extents, also when it is cut to a part") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    OnXfs xfs(mode);
    SECTION("written to") {
        const base::Fd fd(::open(xfs.at("ours/big").c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(::pwrite(fd.get(), "x", 1, size_bytes / 2) == 1);
        CHECK(shared_bytes(xfs.at("upper/big")) >= size_bytes - (1 << 20));
        CHECK(fs::file_size(xfs.at("ours/big")) == size_bytes);
        std::array<char, 3> around{};
        REQUIRE(::pread(fd.get(), around.data(), around.size(), size_bytes / 2 - 1) == 3);
        CHECK(std::string(around.data(), around.size()) == "dxd");
    }
    SECTION("cut") {
        REQUIRE(::truncate(xfs.at("ours/big").c_str(), size_bytes / 4) == 0);
        CHECK(shared_bytes(xfs.at("upper/big")) >= size_bytes / 4 - (1 << 16));
        CHECK(fs::file_size(xfs.at("ours/big")) == size_bytes / 4);
    }
    std::ifstream lower(xfs.at("lower/big"));
    const std::string data((std::istreambuf_iterator<char>(lower)), {});
    CHECK(data.size() == size_bytes);
    CHECK(std::ranges::all_of(data, [](char c) { return c == 'd'; }));
}
