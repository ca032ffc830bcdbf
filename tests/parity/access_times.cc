// Access times in the upper, depending on the union's mount options: overlayfs applies its own to its upper too.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

struct Case {
    const char *options;
    unsigned long flags;
    bool file_changes, directory_changes;
};

// An hour from now: relatime does not update it, strictatime does.
time_t later() {
    static const time_t time = ::time(nullptr) + 3600;
    return time;
}

void write_file(const fs::path &path) { std::ofstream(path) << "text"; }

void set_access(const fs::path &path, time_t time) {
    const timespec times[2] = {{time, 0}, {0, UTIME_OMIT}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

time_t access_of(const fs::path &path) {
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_atim.tv_sec;
}

void read_bytes(const fs::path &path) {
    std::array<char, 8> bytes{};
    const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(::read(fd.get(), bytes.data(), bytes.size()) == 4);
}

void list(const fs::path &path) { REQUIRE(std::distance(fs::directory_iterator(path), fs::directory_iterator()) == 1); }

// Reports what changes at `root`: a file's access time by a read, a directory's by a listing.
std::pair<bool, bool> changes_at(const fs::path &root, time_t before) {
    set_access(root / "file", before);
    set_access(root / "directory", before);
    read_bytes(root / "file");
    list(root / "directory");
    return {access_of(root / "file") != before, access_of(root / "directory") != before};
}

// A directory of the upper's file system with a file and a directory in it.
void populate(const fs::path &upper) {
    write_file(upper / "file");
    fs::create_directory(upper / "directory");
    write_file(upper / "directory/entry");
}

}  // namespace

TEST_CASE("a read changes the access time in the upper as noatime, nodiratime and strictatime want it, as with overlayfs") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE_COPY(from_range(parity::modes()));
    const Case wanted = GENERATE(Case{"noatime", MS_NOATIME, false, false}, Case{"nodiratime", MS_NODIRATIME, true, false},
                                 Case{"strictatime", MS_STRICTATIME, true, true});
    CAPTURE(mode, wanted.options);
    Mounted stack(mode);
    for (const char *directory : {"kernel-upper", "kernel-work"}) fs::create_directory(stack.base() / "disk" / directory);
    populate(stack.upper());
    populate(stack.base() / "disk/kernel-upper");
    stack.mount(wanted.options);
    const std::string layers = "lowerdir=" + stack.lower().string() +
                               ",upperdir=" + (stack.base() / "disk/kernel-upper").string() +
                               ",workdir=" + (stack.base() / "disk/kernel-work").string();
    const fs::path kernel = stack.base() / "kernel";
    REQUIRE(::mount("overlay", kernel.c_str(), "overlay", wanted.flags, layers.c_str()) == 0);
    // One access time that every read changes unless an option forbids it, and one that a read changes only with strictatime.
    for (const time_t before : {time_t{1'000'000'000}, later()}) {
        CAPTURE(before);
        const bool in_time = before != later() || wanted.flags == MS_STRICTATIME;
        const std::pair<bool, bool> expected{wanted.file_changes && in_time, wanted.directory_changes && in_time};
        const auto at_kernel = changes_at(kernel, before), at_ours = changes_at(stack.root(), before);
        CHECK(at_kernel == expected);
        CHECK(at_ours == expected);
        // Drop the caches, so that the next read reaches the upper again.
        REQUIRE(::umount2(kernel.c_str(), 0) == 0);
        REQUIRE(stack.unmount() == 0);
        stack.mount(wanted.options);
        REQUIRE(::mount("overlay", kernel.c_str(), "overlay", wanted.flags, layers.c_str()) == 0);
    }
    CHECK(stack.unmount() == 0);
}

TEST_CASE("an upper that is reached through a mount of its own still takes every kind of change") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE_COPY(from_range(parity::modes()));
    CAPTURE(mode);
    Mounted stack(mode);
    write_file(stack.lower() / "file");
    fs::create_directory(stack.lower() / "directory");
    write_file(stack.lower() / "directory/entry");
    stack.mount("noatime");
    std::ofstream(stack.root() / "file", std::ios::app) << "more";
    fs::remove(stack.root() / "directory/entry");
    fs::rename(stack.root() / "directory", stack.root() / "moved");
    fs::create_hard_link(stack.root() / "file", stack.root() / "moved/linked");
    REQUIRE(stack.unmount() == 0);
    CHECK(fs::file_size(stack.upper() / "file") == 8);
    CHECK(fs::exists(stack.upper() / "moved/linked"));
    stack.mount("strictatime");
    CHECK(fs::exists(stack.root() / "moved/linked"));
    CHECK_FALSE(fs::exists(stack.root() / "moved/entry"));
    CHECK_FALSE(fs::exists(stack.root() / "directory"));
    CHECK(stack.unmount() == 0);
}
