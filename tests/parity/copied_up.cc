// What a copy-up must preserve: each object of the tree is changed in a way that does not affect the comparison.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <format>
#include <fstream>
#include <vector>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

namespace fs = std::filesystem;
using parity::result;
using parity::same;

namespace {

bool is_file_with_one_name(const fs::path &path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode) && status.st_nlink == 1;
}

// acl(5) as the kernel stores it: version 2; all rights for the owner, user 1000 and the mask, none for the group and others.
void let_user_1000(const fs::path &path, const char *which) {
    struct [[gnu::packed]] {
        uint32_t version = 2;
        struct [[gnu::packed]] {
            uint16_t tag, permissions;
            uint32_t id;
        } entries[5] = {{1, 7, ~0U}, {2, 7, 1000}, {4, 0, ~0U}, {16, 7, ~0U}, {32, 0, ~0U}};
    } list;
    REQUIRE(::setxattr(path.c_str(), which, &list, sizeof list, 0) == 0);
}

bool has(const fs::path &path, const char *attribute) { return ::getxattr(path.c_str(), attribute, nullptr, 0) >= 0; }

}  // namespace

TEST_CASE("a copy-up keeps owner, mode, times, attributes and holes of every kind of object") {
    same([] {
        std::vector<fs::path> all;
        for (const auto &entry : fs::recursive_directory_iterator("."))
            if (is_file_with_one_name(entry.path())) all.push_back(entry.path());
        std::ranges::sort(all);
        std::string results;
        for (const fs::path &path : all)  // a new name leaves the object unchanged
            results += result(::rename(path.c_str(), (path.string() + "-renamed").c_str())) + " ";
        return results;
    });
}

TEST_CASE("a copied-up directory keeps owner, mode and attributes") {
    same([] {
        return result(::mkdir("theirs/inner/new", 0700)) + result(::mkdir("directory/inner/new", 0700)) +
               result(::rmdir("theirs/inner/new")) + result(::rmdir("directory/inner/new"));
    });
}

TEST_CASE("XATTR_REPLACE of an attribute that isn't there, and XATTR_CREATE of one that is, change nothing") {
    same([] {
        std::string results;
        for (const char *file : {"file", "attributed"})
            for (const char *name : {"user.note", "user.none", "trusted.note", "trusted.none", "unknown.none"})
                for (const int flags : {XATTR_REPLACE, XATTR_CREATE})
                    results += result(::setxattr(file, name, "new", 3, flags)) + " ";
        for (const char *name : {"user.none", "unknown.none"}) results += result(::removexattr("attributed", name)) + " ";
        return results;
    });
}

TEST_CASE("an opaque directory of a lower hides what lies beneath it, as with overlayfs") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted stack("store");
    const fs::path first = stack.base() / "first", second = stack.base() / "second";
    for (const fs::path &layer : {first, second}) fs::create_directories(layer / "opaque/inner");
    std::ofstream(first / "opaque/above") << "above";
    std::ofstream(second / "opaque/beneath") << "beneath";
    std::ofstream(second / "opaque/inner/deep") << "beneath";
    REQUIRE(::setxattr((first / "opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
    const auto exit = base::run(
        {.argv = {parity::program(), "-o", std::format("lowerdir={}:{}", first.string(), second.string()), stack.root()},
         .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
    const std::string seen = parity::tree(stack.root());
    const base::Exit unmounted = *base::run({.argv = {"umount", stack.root()}, .capture_output = true});
    CHECK(unmounted.status == 0);
    CHECK(seen.contains("opaque/above"));
    CHECK(seen.contains("opaque/inner"));
    CHECK(!seen.contains("beneath"));
    CHECK(!seen.contains("deep"));
}

TEST_CASE("a default ACL of the workdir gives nobody rights to what is copied up or made") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted stack("store");
    fs::create_directory(stack.lower() / "directory");
    for (const char *name : {"file", "directory/file", "replaced"}) std::ofstream(stack.lower() / name) << "lower";
    for (const char *within : {"", "work", "links"}) {
        fs::create_directories(stack.work() / within);
        let_user_1000(stack.work() / within, "system.posix_acl_default");
        let_user_1000(stack.work() / within, "system.posix_acl_access");
    }
    stack.mount();
    std::ofstream(stack.root() / "directory/file", std::ios::app) << " and upper";
    fs::rename(stack.root() / "file", stack.root() / "moved");
    fs::remove(stack.root() / "replaced");
    fs::create_directory(stack.root() / "replaced");
    for (const char *name : {"directory", "directory/file", "moved", "replaced"}) {
        CAPTURE(name);
        for (const char *acl : {"system.posix_acl_access", "system.posix_acl_default"})
            CHECK_FALSE(has(stack.upper() / name, acl));
    }
    for (const char *within : {"work", "links"}) CHECK_FALSE(has(stack.work() / within, "system.posix_acl_access"));
    CHECK(stack.unmount() == 0);
}

TEST_CASE("an ACL that the upper can't hold keeps its file from being copied up, as with overlayfs") {
    if (const std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    parity::Mounted stack("store", 0, "btrfs");
    const fs::path disk = stack.base() / "disk", kernel = stack.base() / "kernel";
    std::ofstream(stack.lower() / "file") << "lower";
    let_user_1000(stack.lower() / "file", "system.posix_acl_access");
    REQUIRE(::mount(nullptr, disk.c_str(), nullptr, MS_REMOUNT, "noacl") == 0);
    stack.mount();
    for (const char *name : {"kernel-upper", "kernel-work"}) fs::create_directory(disk / name);
    const std::string layers =
        std::format("lowerdir={0},upperdir={1}/kernel-upper,workdir={1}/kernel-work", stack.lower().string(), disk.string());
    REQUIRE(::mount("overlay", kernel.c_str(), "overlay", 0, layers.c_str()) == 0);
    for (const fs::path &root : {stack.root(), kernel}) {
        CAPTURE(root);
        CHECK(::truncate((root / "file").c_str(), 0) == -1);
        CHECK(errno == EOPNOTSUPP);
        CHECK(fs::file_size(root / "file") == 5);
    }
    CHECK(fs::is_empty(stack.upper()));
    CHECK(stack.unmount() == 0);
}
