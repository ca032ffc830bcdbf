// Timestamps change only when something changes; a copy-up or a lookup doesn't count. tar(1) complains if a ctime differs after
// it has read the file or directory.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstring>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

struct Seen {
    timespec modified, changed;
    off_t size;
    nlink_t links;
    bool is_directory;
};
using All = std::map<std::string, Seen>;

All stat_all(const fs::path &root, const std::set<std::string> &names) {
    All found;
    for (const std::string &name : names) {
        struct stat status{};
        if (::lstat((root / name).c_str(), &status) < 0) continue;
        const bool directory = S_ISDIR(status.st_mode);
        const nlink_t links = directory ? 0 : status.st_nlink;  // meaningless for a directory
        found[name] = {status.st_mtim, status.st_ctim, status.st_size, links, directory};
    }
    return found;
}

// The initial state, read from the layer, because reading a directory of the mount makes the kernel ask for attributes again.
std::set<std::string> names_in(const fs::path &layer) {
    std::set<std::string> names{"."};
    for (const auto &entry : fs::recursive_directory_iterator(layer)) names.insert(entry.path().lexically_relative(layer));
    return names;
}

void read_all(const fs::path &root) {
    for (const auto &entry : fs::recursive_directory_iterator(root)) {
        std::ifstream file(entry.path());
        file.ignore(std::numeric_limits<std::streamsize>::max());
    }
}

bool same_time(const timespec &one, const timespec &two) { return one.tv_sec == two.tv_sec && one.tv_nsec == two.tv_nsec; }

// Compares files by mtime and directories also by ctime, because a copy-up changes the file's ctime.
std::set<std::string> changed_between(const All &before, const All &after) {
    std::set<std::string> names;
    for (const auto &[name, seen] : after) {
        const auto old = before.find(name);
        if (old == before.end()) continue;
        if (!same_time(old->second.modified, seen.modified)) names.insert(name);
        if (seen.is_directory && !same_time(old->second.changed, seen.changed)) names.insert(name + "/");
    }
    return names;
}

void populate(const fs::path &root) {
    for (const char *directory : {"f/deep/er", "g/deep"}) fs::create_directories(root / directory);
    for (const char *name : {"one", "f/two", "f/deep/three", "f/deep/er/four", "g/deep/five"}) std::ofstream(root / name) << name;
    fs::create_hard_link(root / "f/two", root / "g/linked");
    fs::create_symlink("two", root / "f/symlink");
    const timespec long_ago[2] = {{1000000000, 1}, {1000000000, 2}};
    for (const auto &entry : fs::recursive_directory_iterator(root))
        REQUIRE(::utimensat(AT_FDCWD, entry.path().c_str(), long_ago, AT_SYMLINK_NOFOLLOW) == 0);
    REQUIRE(::utimensat(AT_FDCWD, root.c_str(), long_ago, 0) == 0);
}

const std::vector<std::pair<const char *, std::function<void()>>> operations{
    {"open to write, and nothing written", [] { base::Fd(::open("f/deep/er/four", O_WRONLY | O_CLOEXEC)); }},
    {"append", [] { std::ofstream("f/deep/three", std::ios::app) << "more"; }},
    {"truncate", [] { fs::resize_file("f/deep/er/four", 2); }},
    {"chmod", [] { fs::permissions("f/deep/er/four", fs::perms::owner_all); }},
    {"chmod of a directory", [] { fs::permissions("f/deep", fs::perms::owner_all); }},
    {"chown of a symlink", [] { ::lchown("f/symlink", 3, 3); }},
    {"setxattr", [] { ::setxattr("f/deep/er/four", "user.x", "1", 1, 0); }},
    {"write by a mapping",
     [] {
         const base::Fd fd(::open("f/deep/three", O_RDWR | O_CLOEXEC));
         void *bytes = ::mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
         REQUIRE(bytes != MAP_FAILED);
         std::memcpy(bytes, "text", 4);
         ::msync(bytes, 4, MS_SYNC);
         ::munmap(bytes, 4);
     }},
    {"write to a hard link", [] { std::ofstream("g/linked", std::ios::app) << "more"; }},
    {"make a directory", [] { fs::create_directory("f/deep/er/new"); }},
    {"make a file", [] { std::ofstream("f/deep/er/new") << "new"; }},
    {"link", [] { fs::create_hard_link("f/deep/er/four", "g/four"); }},
    {"unlink", [] { fs::remove("f/deep/three"); }},
    {"unlink one name of two", [] { fs::remove("f/two"); }},
    {"rename a file", [] { fs::rename("f/deep/three", "g/three"); }},
    {"rename a directory", [] { fs::rename("f/deep", "g/moved"); }},
    {"rename over a file", [] { fs::rename("f/deep/three", "g/deep/five"); }},
};

}  // namespace

TEST_CASE("times and sizes are the same before and after a read, and a copy-up changes no mtime and no directory") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    for (const auto &[name, operation] : operations) {
        CAPTURE(mode, name);
        Mounted stack(mode);
        const fs::path plain = stack.mount_beside_plain(populate);
        const std::set<std::string> names = names_in(stack.lower());
        std::set<std::string> changed[2];
        for (const fs::path &place : {stack.root(), plain}) {
            const All before = stat_all(place, names);
            {
                const parity::WorkingDirectory here(place);
                operation();
            }
            const All after = stat_all(place, names);
            read_all(place);
            for (const auto &[path, seen] : stat_all(place, names)) {
                CAPTURE(path);
                const Seen &first = after.at(path);
                CHECK(same_time(seen.modified, first.modified));
                CHECK(same_time(seen.changed, first.changed));
                CHECK(seen.size == first.size);
                CHECK(seen.links == first.links);
            }
            changed[place == plain ? 1 : 0] = changed_between(before, after);
        }
        CHECK(changed[0] == changed[1]);
        CHECK(stack.unmount() == 0);
    }
}

// On an ext3, whose clock ticks every few milliseconds, both changes get the same ctime. Elsewhere Linux 6.13 gives a change
// after a lookup a later ctime, so a directory's own change can't be taken for the copy-up's.
TEST_CASE("a directory's own change is seen however soon it comes after a copy-up in it") {
    if (const std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode, 64 << 20, "ext3");
    constexpr int files = 10;
    const fs::path in_lower = stack.lower() / "directory", directory = stack.root() / "directory";
    fs::create_directory(in_lower);
    for (int i = 0; i < files; ++i) std::ofstream(in_lower / std::to_string(i)) << "lower";
    stack.mount();
    const auto look = [&] {
        struct stat status{};
        REQUIRE(::stat(directory.c_str(), &status) == 0);
        return status.st_ctim;
    };
    for (int i = 0; i < files; ++i) {
        CAPTURE(i);
        ::usleep(20000);  // more than a tick
        const timespec before = look();
        fs::permissions(directory / std::to_string(i), fs::perms::owner_all);
        CHECK(same_time(look(), before));
        fs::permissions(directory, i % 2 == 0 ? fs::perms::owner_all : fs::perms::all);
        CHECK_FALSE(same_time(look(), before));
    }
    CHECK(stack.unmount() == 0);
}
