// Inode numbers that a layer reuses for the next object, which ext4 does at once and tmpfs never: the new object must not be
// taken for the old one.
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"
#include "tests/support/disk.h"

namespace fs = std::filesystem;

TEST_CASE("a directory that gets the number of one that a rename replaced is a directory of its own") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    parity::Mounted stack(mode, 64 << 20, "ext4");
    stack.mount();
    const fs::path root = stack.root();
    const pid_t worker = stack.worker();
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
            CHECK(fs::exists(stack.upper() / name / "inside"));
            CHECK(fs::remove_all(root / name) == 2);
        }
        CHECK(fs::remove_all(root / "replaced") == 2);
    }
    CHECK(stack.worker() == worker);
    CHECK(stack.unmount() == 0);
}

TEST_CASE("a lower file that gets the number of one that was copied up and removed from the lower is another file") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    parity::Mounted stack(mode);
    const support::Backing disk(stack.lower(), "ext4", 64 << 20);
    const auto number_of = [](const fs::path &path) {
        struct stat status{};
        REQUIRE(::lstat(path.c_str(), &status) == 0);
        return status.st_ino;
    };
    for (const char *name : {"gone", "stays"}) std::ofstream(stack.lower() / name) << name;
    const ino_t reused = number_of(stack.lower() / "gone");
    stack.mount();
    for (const char *name : {"gone", "stays"}) {
        std::ofstream(stack.root() / name, std::ios::app) << "!";
        fs::rename(stack.root() / name, stack.root() / (std::string(name) + "-moved"));
    }
    const ino_t kept = number_of(stack.root() / "stays-moved");
    REQUIRE(stack.unmount() == 0);
    REQUIRE(fs::remove(stack.lower() / "gone"));
    std::ofstream(stack.lower() / "new") << "new";
    REQUIRE(number_of(stack.lower() / "new") == reused);
    stack.mount();
    CHECK(number_of(stack.root() / "new") != number_of(stack.root() / "gone-moved"));
    CHECK(number_of(stack.root() / "stays-moved") == kept);
    CHECK(stack.unmount() == 0);
}
