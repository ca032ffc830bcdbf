// Objects that an attacker left in a workdir or a layer: the union refuses them by name, and they lead nowhere.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using Catch::Matchers::ContainsSubstring;
using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void write_file(const fs::path &path, std::string_view text) { std::ofstream(path, std::ios::app) << text; }

// Mounts with these options, which must be refused, and returns the message. timeout(1) ends a mount that hangs.
std::string refusal(const Mounted &stack, const std::string &options) {
    const auto exit =
        base::run({.argv = {"/usr/bin/timeout", "20", parity::program(), "-o", "mode=store," + options, stack.root()},
                   .capture_output = true});
    REQUIRE(exit);
    if (exit->status == 0) ::umount2(stack.root().c_str(), MNT_DETACH);
    CHECK(exit->status == 1);
    return exit->output;
}

}  // namespace

TEST_CASE(
    "a workdir's directory that is a link, a mount point or another's is refused by its name, and nothing is removed there") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path disk = stack.base() / "disk", secret = disk / "secret";
    fs::create_directory(secret);
    write_file(secret / "file", "kept");
    for (const char *name : {"work", "links"}) {
        CAPTURE(name);
        const fs::path place = disk / "work" / name;
        fs::create_directory_symlink("../secret", place);
        CHECK_THAT(refusal(stack, stack.layers()), ContainsSubstring("work/" + std::string(name) + "': is a symbolic link"));
        fs::remove(place);
        fs::create_directory(place);
        REQUIRE(::mount(secret.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) == 0);
        CHECK_THAT(refusal(stack, stack.layers()), ContainsSubstring("': is a mount point"));
        REQUIRE(::umount2(place.c_str(), 0) == 0);
        REQUIRE(::chown(place.c_str(), 4711, 4711) == 0);
        CHECK_THAT(refusal(stack, stack.layers()), ContainsSubstring("': belongs to uid 4711"));
        fs::remove(place);
    }
    CHECK(fs::exists(secret / "file"));
    fs::create_directory_symlink("secret", disk / ".upper.work");
    const std::string without = stack.layers().substr(0, stack.layers().find(",workdir="));
    CHECK_THAT(refusal(stack, without), ContainsSubstring(".upper.work': Not a directory"));
    CHECK(fs::exists(secret / "file"));
    CHECK(!fs::exists(secret / "work"));
}

TEST_CASE("a mount point inside the work directory is left with what is in it, and a deep tree there is removed") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path work = stack.base() / "disk/work/work", secret = stack.base() / "disk/secret";
    fs::create_directory(secret);
    write_file(secret / "file", "kept");
    fs::create_directories(work / "left/mounted");
    REQUIRE(::mount(secret.c_str(), (work / "left/mounted").c_str(), nullptr, MS_BIND, nullptr) == 0);
    fs::create_directory(work / "direct");
    REQUIRE(::mount(secret.c_str(), (work / "direct").c_str(), nullptr, MS_BIND, nullptr) == 0);
    int at = ::open(work.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 20000; ++i) {
        REQUIRE(::mkdirat(at, "deep", 0700) == 0);
        const int next = ::openat(at, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ::close(at);
        at = next;
    }
    ::close(at);
    stack.mount();
    CHECK(fs::exists(secret / "file"));
    CHECK(!fs::exists(work / "deep"));
    CHECK(stack.unmount() == 0);
    ::umount2((work / "left/mounted").c_str(), MNT_DETACH);
    ::umount2((work / "direct").c_str(), MNT_DETACH);
}

TEST_CASE("a note in the workdir that is none is refused by its name, and keeps nobody waiting") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path workdir = stack.base() / "disk/work", note = workdir / "links/removed";
    fs::create_directory(workdir / "links");
    const auto check = [&](const fs::path &place, const char *reason) {
        CHECK_THAT(refusal(stack, stack.layers()), ContainsSubstring(place.filename().string() + "': " + reason));
        fs::remove(place);
    };
    REQUIRE(::mkfifo(note.c_str(), 0600) == 0);
    check(note, "is not a regular file");
    write_file(note, "");
    REQUIRE(::truncate(note.c_str(), off_t{1} << 40) == 0);
    check(note, "is larger");
    write_file(stack.base() / "disk/other", "1 /a\n");
    fs::create_hard_link(stack.base() / "disk/other", note);
    check(note, "has another hard link");
    fs::create_symlink("../../other", note);
    check(note, "is not a regular file");
    stack.mount();
    CHECK(stack.unmount() == 0);
}

TEST_CASE("the owner of a workdir can't reach what the union makes there, and what he calls a whiteout is none") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    constexpr uid_t owner = 4711;
    Mounted stack("store");
    const fs::path workdir = stack.base() / "disk/work", whiteout = workdir / "work/whiteout";
    for (const char *name : {"removed", "removed-too", "directory/file"}) {
        fs::create_directories((stack.lower() / name).parent_path());
        write_file(stack.lower() / name, "lower");
    }
    for (const fs::path &place : {workdir, workdir / "work", workdir / "links"}) {
        fs::create_directories(place);
        REQUIRE(::chmod(place.c_str(), 0777) == 0);
        REQUIRE(::chown(place.c_str(), owner, owner) == 0);
    }
    write_file(whiteout, "planted");
    stack.mount();
    fs::remove(workdir / "whiteout");
    write_file(workdir / "whiteout", "planted");
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(owner) != 0 || ::setuid(owner) != 0) ::_exit(99);
        const bool kept_out = ::mkdir((workdir / "work/planted").c_str(), 0777) < 0 && errno == EACCES &&
                              ::symlink("/etc/passwd", (workdir / "links/1").c_str()) < 0 && errno == EACCES;
        ::_exit(kept_out ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    fs::remove(stack.root() / "removed");
    fs::remove_all(stack.root() / "directory");
    CHECK(!fs::exists(stack.root() / "removed"));
    CHECK(fs::is_character_file(stack.upper() / "removed"));
    CHECK(fs::is_character_file(stack.upper() / "directory"));
    CHECK(stack.unmount() == 0);
}

TEST_CASE("an upper that is in use is refused with its holder, whatever the workdir") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path disk = stack.base() / "disk", second = stack.base() / "second";
    fs::create_directory(second);
    fs::create_directory(disk / "other-work");
    stack.mount();
    const std::string layers = "lowerdir=" + stack.lower().string() + ",upperdir=" + (disk / "upper").string() +
                               ",workdir=" + (disk / "other-work").string();
    const auto exit = base::run({.argv = {parity::program(), "-o", "mode=store," + layers, second}, .capture_output = true});
    REQUIRE(exit);
    if (exit->status == 0) ::umount2(second.c_str(), MNT_DETACH);
    CHECK(exit->status == 1);
    CHECK_THAT(exit->output,
               ContainsSubstring("/upper': is in use by another mount, served by process " + std::to_string(stack.supervisor())));
    CHECK(stack.unmount() == 0);
}

TEST_CASE(
    "a workdir that is in use is refused with its holder, also after a crash of the worker, and is free after the unmount") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    // Two disks from the same mke2fs have workdirs with the same inode number.
    Mounted other("store"), stack("store");
    other.mount();
    write_file(stack.lower() / "file", "lower");
    fs::create_directory(stack.base() / "second");
    stack.mount();
    write_file(stack.base() / "disk/work/work/begun", "");
    const auto second = [&] {
        const auto exit = base::run(
            {.argv = {parity::program(), "-o", "mode=store," + stack.layers(), stack.base() / "second"}, .capture_output = true});
        REQUIRE(exit);
        if (exit->status == 0) ::umount2((stack.base() / "second").c_str(), MNT_DETACH);
        CHECK(exit->status == 1);
        CHECK_THAT(exit->output,
                   ContainsSubstring("is in use by another mount, served by process " + std::to_string(stack.supervisor())));
        CHECK(fs::exists(stack.base() / "disk/work/work/begun"));
    };
    second();
    REQUIRE(::kill(stack.worker(), SIGKILL) == 0);
    write_file(stack.root() / "file", " and more");
    write_file(stack.base() / "disk/work/work/begun", "");
    second();
    for (int i = 0; i < 5; ++i) {
        REQUIRE(stack.unmount() == 0);
        stack.mount();
    }
    // Detached, because nothing waited for the earlier daemon.
    REQUIRE(stack.unmount() == 0);
    for (int i = 0; i < 5; ++i) {
        const auto exit =
            base::run({.argv = {parity::program(), "-o", "mode=store," + stack.layers(), stack.root()}, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        CHECK(exit->status == 0);
        CHECK(::umount2(stack.root().c_str(), 0) == 0);
    }
}

TEST_CASE("a redirect with dots, and one that any user can write, is an error and leads nowhere") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string user = GENERATE("", "userxattr");
    const auto [target, error] = GENERATE(
        table<const char *, int>({{"/../secret", EINVAL}, {"..", EINVAL}, {"/a/./b", EINVAL}, {"a/b", EINVAL}, {"/", EINVAL}}));
    CAPTURE(user, target);
    Mounted stack("store");
    fs::create_directories(stack.base() / "secret/sub");
    fs::create_directories(stack.lower() / "a/b/inside");
    fs::create_directories(stack.upper() / "d");
    const std::string mark = user.empty() ? "trusted.overlay.redirect" : "user.overlay.redirect";
    REQUIRE(::setxattr(fs::canonical(stack.upper() / "d").c_str(), mark.c_str(), target, std::string_view(target).size(), 0) ==
            0);
    stack.mount(user);
    struct stat status{};
    CHECK(::stat((stack.root() / "d").c_str(), &status) == -1);
    CHECK(errno == (user.empty() ? error : EPERM));
}

TEST_CASE("chroot= is left by no link and no dots") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path disk = stack.base() / "disk";
    fs::create_directories(disk / "jail/secret/inner");
    fs::create_directories(disk / "secret/outer");
    fs::create_directory_symlink("/secret", disk / "jail/link");
    fs::create_directory_symlink("../secret", disk / "jail/dots");
    fs::create_directory(disk / "jail/u");
    for (const char *lower : {"/link", "/dots", "/../secret"}) {
        CAPTURE(lower);
        const auto exit = base::run({.argv = {parity::program(), "-o", "chroot=" + (disk / "jail").string() + ",cow",
                                              "/u=RW:" + std::string(lower) + "=RO", stack.root()},
                                     .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
        CHECK(fs::exists(stack.root() / "inner"));
        CHECK(!fs::exists(stack.root() / "outer"));
        CHECK(::umount2(stack.root().c_str(), 0) == 0);
    }
    CHECK(fs::exists(disk / "jail/.u.work"));
}
