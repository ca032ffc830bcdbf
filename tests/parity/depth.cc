// Directories of any depth: none ends the daemon, whatever operation the content needs.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"

using base::Fd;
using parity::Mounted;

namespace {

namespace fs = std::filesystem;

Fd directory_at(int dir, const char *name) { return Fd(::openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC)); }

// Goes down `levels` directories named `name`, and creates missing ones.
Fd go_down(const fs::path &from, int levels, bool make, const char *name = "d") {
    Fd at = directory_at(AT_FDCWD, from.c_str());
    for (int i = 0; i < levels; ++i) {
        if (make) REQUIRE(::mkdirat(at.get(), name, 0755) == 0);
        at = directory_at(at.get(), name);
        REQUIRE(at);
    }
    return at;
}

void make_file(int dir, const char *name) { REQUIRE(Fd(::openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644))); }

// Removes one level at a time from the bottom, because remove_all() recurses for each level.
void remove_down(const fs::path &from, int levels) {
    for (int left = levels; left > 0; left = std::max(0, left - 500)) {
        const Fd at = go_down(from, std::max(0, left - 500), false);
        fs::remove_all(std::format("/proc/self/fd/{}/d", at.get()));
    }
}

}  // namespace

TEST_CASE("a file is changed that lies deep in a lower, and a new worker finds it") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const int levels = GENERATE(170, 10000);
    const std::string options = GENERATE("", "max_files=64", "max_files=64,userxattr");
    CAPTURE(levels, options);
    Mounted stack("store");
    make_file(go_down(stack.lower(), levels, true).get(), "file");
    stack.mount(options);
    {
        const Fd bottom = go_down(stack.root(), levels, false);
        CHECK(::fchmodat(bottom.get(), "file", 0600, 0) == 0);
        const pid_t worker = stack.worker();
        REQUIRE(worker > 0);
        REQUIRE(::kill(worker, SIGKILL) == 0);
        make_file(bottom.get(), "new");
        struct stat status{};
        CHECK(::fstatat(bottom.get(), "file", &status, 0) == 0);
        CHECK((status.st_mode & 07777) == 0600);
        CHECK(::rename((stack.root() / "d").c_str(), (stack.root() / "e").c_str()) == 0);
        CHECK(::fstatat(bottom.get(), "file", &status, 0) == 0);
        CHECK(::rename((stack.root() / "e").c_str(), (stack.root() / "d").c_str()) == 0);
    }
    support::drop_caches();
    CHECK(::access(stack.root().c_str(), F_OK) == 0);
    CHECK(stack.unmount() == 0);
    remove_down(stack.lower(), levels);
    remove_down(stack.upper(), levels);
}

TEST_CASE("a file is made and changed deep in an upper of which few directories stay open") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    constexpr int levels = 10000;
    Mounted stack("store");
    go_down(stack.upper(), levels, true);
    stack.mount("max_files=64");
    {
        const Fd bottom = go_down(stack.root(), levels, false);
        for (int i = 0; i < 100; ++i) {
            const fs::path beside = stack.root() / std::format("beside-{}", i);
            REQUIRE(::mkdir(beside.c_str(), 0755) == 0);
            make_file(AT_FDCWD, (beside / "file").c_str());
        }
        make_file(bottom.get(), "file");
        CHECK(::fchmodat(bottom.get(), "file", 0600, 0) == 0);
        CHECK(::faccessat(bottom.get(), "file", F_OK, 0) == 0);
    }
    support::drop_caches();
    CHECK(stack.unmount() == 0);
    remove_down(stack.upper(), levels);
}

TEST_CASE("union diff tells what changed deep in the layers, with few descriptors") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    constexpr int levels = 10000;
    Mounted stack("store");
    make_file(go_down(stack.lower(), levels, true).get(), "gone");
    stack.mount();
    {
        const Fd bottom = go_down(stack.root(), levels, false);
        REQUIRE(::unlinkat(bottom.get(), "gone", 0) == 0);
        make_file(bottom.get(), "new");
        REQUIRE(::rename((stack.root() / "d").c_str(), (stack.root() / "e").c_str()) == 0);
    }
    REQUIRE(stack.unmount() == 0);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit few{300, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto exit = base::run(
        {.argv = {fs::path(parity::program()).replace_filename("stage1"), "union", "diff", stack.upper(), stack.lower()},
         .capture_output = true});
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE(exit);
    std::string path;
    for (int i = 1; i < levels; ++i) path += "/d";
    CHECK(exit->output == "moved    d -> e\ndeleted  e" + path + "/gone\nadded    e" + path + "/new\n");
    support::drop_caches();
    remove_down(stack.lower(), levels);
    fs::remove(stack.upper() / "d");  // the whiteout
    fs::rename(stack.upper() / "e", stack.upper() / "d");
    remove_down(stack.upper(), levels);
}
