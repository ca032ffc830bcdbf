// An inode's number that the upper gives to the next object, which ext4 does at once and tmpfs never: what is new must not
// be taken for what had the number before.
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

namespace fs = std::filesystem;

TEST_CASE("a folder that gets the number of one that a rename replaced is a folder of its own") {
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
