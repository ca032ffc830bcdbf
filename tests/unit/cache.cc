// The cache between runs: its limit, and whose it may be.
#include "hostside/base/cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "tests/support/disk.h"

namespace fs = std::filesystem;

TEST_CASE("the cache is bounded: what was used longest ago goes first") {
    const support::ScratchDirectory scratch;
    ::setenv("XDG_CACHE_HOME", scratch.path("cache").c_str(), 1);
    const auto entry = [&](const std::string &name) { return scratch.path("cache/runvm/" + name); };
    REQUIRE(hostside::cache_path("first") == entry("first"));
    CHECK_FALSE(fs::exists(scratch.path("cache")));  // asking makes nothing
    REQUIRE(hostside::keep({entry("first"), ""}));
    const auto now = fs::file_time_type::clock::now();
    for (int i = 1; i <= 4; ++i) {
        const std::string path = entry(std::to_string(i));
        support::make_sparse_file(path, uint64_t{200} << 20);
        fs::last_write_time(path, now - std::chrono::hours(10 - i));
    }
    support::make_sparse_file(entry("first"), uint64_t{400} << 20);  // recently used entries stay, whatever their size
    CHECK(hostside::keep({entry("1"), ""}));                         // used now, and so kept
    CHECK(fs::file_size(entry("1")) == uint64_t{200} << 20);
    CHECK(fs::exists(entry("1")));
    CHECK_FALSE(fs::exists(entry("2")));
    CHECK_FALSE(fs::exists(entry("3")));
    CHECK_FALSE(fs::exists(entry("4")));
    CHECK(fs::exists(entry("first")));
    CHECK_FALSE(hostside::use_entry(entry("2"), hostside::small_things));
    CHECK_FALSE(fs::exists(entry("2")));
    ::unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("a cache that is another user's, or below a directory of theirs, is neither read nor written") {
    if (::geteuid() != 0) SKIP("needs root, for directories of another user");
    const support::ScratchDirectory scratch;
    constexpr uid_t somebody = 2001;
    ::setenv("XDG_CACHE_HOME", scratch.path("home/cache").c_str(), 1);
    for (const char *directory : {"home", "home/cache", "home/cache/runvm"}) {
        const std::string path = scratch.path(directory);
        fs::create_directory(path);
        CHECK_FALSE(hostside::cache_path("initrd").empty());
        REQUIRE(::chown(path.c_str(), somebody, somebody) == 0);
        CHECK(hostside::cache_path("initrd").empty());
        REQUIRE(::chown(path.c_str(), 0, 0) == 0);
    }
    ::unsetenv("XDG_CACHE_HOME");
}
