// An inode's number that the upper gives to the next object, which ext4 does at once and tmpfs never: what is new must not
// be taken for what had the number before.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <optional>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

// A stack whose upper lies on an ext4.
class OnExt4 {
  public:
    explicit OnExt4(const std::string &mode) : stack(mode) {
        const fs::path disk = stack.base() / "disk", image = stack.base() / "image";
        REQUIRE(::umount2(disk.c_str(), 0) == 0);
        std::ofstream(image).close();
        fs::resize_file(image, 64 << 20);
        REQUIRE(std::system(std::format("mke2fs -q -t ext4 {}", image.string()).c_str()) == 0);
        loop_.emplace(image);
        REQUIRE(::mount(loop_->path().c_str(), disk.c_str(), "ext4", 0, nullptr) == 0);
        for (const char *folder : {"upper", "work"}) fs::create_directory(disk / folder);
        stack.mount();
    }
    parity::Mounted stack;

  private:
    std::optional<support::LoopDevice> loop_;  // frees itself once its last mount is gone
};

}  // namespace

TEST_CASE("a folder that gets the number of one that a rename replaced is a folder of its own") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    OnExt4 disk(mode);
    const fs::path root = disk.stack.root();
    const pid_t worker = disk.stack.worker();
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        REQUIRE(::mkdir((root / "moved").c_str(), 0755) == 0);
        std::ofstream(root / "moved/inside") << "moved";
        REQUIRE(::mkdir((root / "replaced").c_str(), 0755) == 0);
        REQUIRE(::rename((root / "moved").c_str(), (root / "replaced").c_str()) == 0);
        for (const char *name : {"new", "newer"}) {
            REQUIRE(::mkdir((root / name).c_str(), 0755) == 0);
            CHECK(fs::is_empty(root / name));
            std::ofstream(root / name / "inside") << name;
            CHECK(fs::exists(disk.stack.upper() / name / "inside"));
            CHECK(fs::remove_all(root / name) == 2);
        }
        CHECK(fs::remove_all(root / "replaced") == 2);
    }
    CHECK(disk.stack.worker() == worker);
    CHECK(disk.stack.unmount() == 0);
}
