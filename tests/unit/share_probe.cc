// Directories to share, on file systems with and without extended attributes.
#include "hostside/host/share_probe.h"

#include <sys/mount.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "tests/support/disk.h"

namespace fs = std::filesystem;

TEST_CASE("a directory whose files can't have attributes is known, and nothing is left in it") {
    if (::geteuid() != 0) SKIP("needs root, to mount a file system without attributes");
    const support::ScratchDirectory scratch;
    CHECK(hostside::keeps_attributes(scratch.path()));
    CHECK(fs::is_empty(scratch.path()));
    fs::create_directory(scratch.path("bare"));
    REQUIRE(::mount("bare", scratch.path("bare").c_str(), "ramfs", 0, nullptr) == 0);
    const bool keeps = hostside::keeps_attributes(scratch.path("bare"));
    const bool empty = fs::is_empty(scratch.path("bare"));
    REQUIRE(::umount2(scratch.path("bare").c_str(), MNT_DETACH) == 0);
    CHECK_FALSE(keeps);
    CHECK(empty);
}

TEST_CASE("a link right in a directory is found") {
    const support::ScratchDirectory scratch;
    CHECK(hostside::symlink_in(scratch.path()).empty());
    fs::create_symlink("nowhere", scratch.path("link"));
    CHECK(hostside::symlink_in(scratch.path()) == "link");
    CHECK(hostside::symlink_in(scratch.path("none")).empty());
}
