// What an upper preserves from one mount to the next.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <map>
#include <set>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void write_file(const fs::path &path, std::string_view text) { std::ofstream(path, std::ios::app) << text; }

std::map<std::string, ino_t> numbers(const fs::path &root, dev_t &device) {
    std::map<std::string, ino_t> found;
    struct stat status{};
    REQUIRE(::lstat(root.c_str(), &status) == 0);
    device = status.st_dev;
    for (const auto &entry : fs::recursive_directory_iterator(root)) {
        REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
        CHECK(status.st_dev == device);
        found[entry.path().lexically_relative(root)] = status.st_ino;
    }
    return found;
}

}  // namespace

TEST_CASE("upper, copied-up and lower objects keep st_ino over a remount, and all have the mount's st_dev") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    fs::create_directories(stack.lower() / "directory/inner");
    for (const char *name : {"lower", "copied", "moved", "directory/copied", "directory/inner/lower", "linked"})
        write_file(stack.lower() / name, name);
    fs::create_hard_link(stack.lower() / "linked", stack.lower() / "linked-too");
    fs::create_symlink("lower", stack.lower() / "symlink");
    stack.mount();
    dev_t device = 0;
    const auto first = numbers(stack.root(), device);
    write_file(stack.root() / "upper", "upper");
    fs::create_directory(stack.root() / "upper-directory");
    for (const char *name : {"copied", "directory/copied", "linked"}) write_file(stack.root() / name, "more");
    fs::rename(stack.root() / "moved", stack.root() / "upper-directory/moved");
    REQUIRE(::lchown((stack.root() / "symlink").c_str(), 1, 1) == 0);

    const auto changed = numbers(stack.root(), device);
    for (const auto &[name, number] : first) {
        INFO(name);
        CHECK(changed.at(name == "moved" ? "upper-directory/moved" : name) == number);
    }
    CHECK(changed.at("linked") == changed.at("linked-too"));
    std::set<ino_t> distinct;
    for (const auto &[name, number] : changed) distinct.insert(number);
    CHECK(distinct.size() == changed.size() - 1);  // except linked-too

    for (int i = 0; i < 2; ++i) {
        REQUIRE(stack.unmount() == 0);
        stack.mount();
        CHECK(numbers(stack.root(), device) == changed);
    }
}

TEST_CASE("a directory keeps st_ino and its d_ino when it is copied up or moved, and over mounts") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (const char *path : {"d/sub/deep", "other", "away"}) fs::create_directories(stack.lower() / path);
    write_file(stack.lower() / "d/sub/deep/file", "lower");
    stack.mount();
    dev_t device = 0;
    const auto first = numbers(stack.root(), device);
    REQUIRE(::chmod((stack.root() / "other").c_str(), 0700) == 0);
    fs::rename(stack.root() / "d/sub", stack.root() / "d/beside");
    fs::rename(stack.root() / "away", stack.root() / "d/away");
    write_file(stack.root() / "d/beside/deep/file", "more");
    const auto listed = [&](const char *directory, const std::string &name) {
        ino_t number = 0;
        DIR *entries = ::opendir((stack.root() / directory).c_str());
        REQUIRE(entries != nullptr);
        while (const dirent *entry = ::readdir(entries))
            if (entry->d_name == name) number = entry->d_ino;
        ::closedir(entries);
        return number;
    };
    for (int i = 0; i < 3; ++i) {
        INFO("mounts: " << i + 1);
        CHECK(listed("d", "beside") == first.at("d/sub"));
        const auto now = numbers(stack.root(), device);
        CHECK(now == std::map<std::string, ino_t>{{"d", first.at("d")},
                                                  {"d/beside", first.at("d/sub")},
                                                  {"d/beside/deep", first.at("d/sub/deep")},
                                                  {"d/beside/deep/file", first.at("d/sub/deep/file")},
                                                  {"other", first.at("other")},
                                                  {"d/away", first.at("away")}});
        REQUIRE(stack.unmount() == 0);
        stack.mount();
    }
}

TEST_CASE("a union is remounted read-only and back by its program, as mount(8) calls it, and nothing else changes") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    write_file(stack.lower() / "file", "lower");
    stack.mount();
    const auto remount = [&](const std::string &options) {
        const auto exit =
            base::run({.argv = {parity::program(), "unionfs", stack.root().string(), "-o", options}, .capture_output = true});
        REQUIRE(exit);
        return exit->output;
    };
    const auto opens = [&] { return base::Fd(::open((stack.root() / "file").c_str(), O_WRONLY | O_CLOEXEC)).valid(); };
    CHECK(remount("remount,ro," + stack.layers()) == "");
    CHECK_FALSE(opens());
    CHECK(errno == EROFS);
    CHECK(remount("remount,rw,strictatime,submounts=hide") == "");
    CHECK(opens());
    struct statvfs status{};
    REQUIRE(::statvfs(stack.root().c_str(), &status) == 0);
    CHECK((status.f_flag & (ST_RELATIME | ST_NOATIME)) == 0);
    CHECK(stack.unmount() == 0);
    CHECK(remount("remount,ro") ==
          "unionfs: remount '" + stack.root().string() + "': Invalid argument; nothing is mounted there\n");
}

// Upper and lower are two file systems with overlapping inode numbers.
TEST_CASE("the root and files without a name have a st_ino of their own too") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (int i = 0; i < 300; ++i) write_file(stack.lower() / std::format("file-{}", i), "");
    for (int i = 0; i < 100; ++i) write_file(stack.base() / std::format("disk/file-{}", i), "");
    const fs::path upper = fs::canonical(stack.upper());
    fs::remove(upper);
    fs::create_directory(upper);
    stack.mount();
    dev_t device = 0;
    const auto named = numbers(stack.root(), device);
    std::set<ino_t> taken;
    for (const auto &[name, number] : named) taken.insert(number);
    struct stat root{}, unnamed{};
    REQUIRE(::stat(stack.root().c_str(), &root) == 0);
    CHECK(!taken.contains(root.st_ino));
    for (int i = 0; i < 10; ++i) {
        const base::Fd fd(::open(stack.root().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::fstat(fd.get(), &unnamed) == 0);
        CHECK(!taken.contains(unnamed.st_ino));
        CHECK(unnamed.st_ino != root.st_ino);
    }
}
