// Without root: in a user namespace, where mount(2) is allowed, and through fusermount3.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sys/xattr.h>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <fstream>
#include <optional>

#include "mounts/base/process.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;

void write_text(const fs::path &path, std::string_view text) { std::ofstream(path) << text; }

void populate(const fs::path &root) {
    fs::create_directories(root / "directory/inner");
    for (const char *name : {"file", "other", "directory/a", "directory/untouched", "directory/inner/b"})
        write_text(root / name, name);
}

// Does the same at each place as a user other than root.
void work_in(const fs::path &root) {
    fs::current_path(root);
    fs::remove("file");
    std::ofstream("other", std::ios::app) << " more";
    fs::create_hard_link("other", "linked");
    fs::remove_all("directory/inner");
    fs::create_directory("directory/inner");
    write_text("directory/inner/new", "new");
    fs::permissions("directory/a", fs::perms::owner_all);
    fs::rename("directory", "moved");
    std::ifstream unnamed("read-only");
    fs::remove("read-only");
    std::ofstream("what-was-read") << unnamed.rdbuf();
    fs::current_path("/");
}

// A program with set-user-ID and set-group-ID bits that belongs to another user, in a directory that is copied up completely.
void populate_with_foreign_program(const fs::path &lower) {
    fs::create_directory(lower / "tools");
    write_text(lower / "tools/program", "program");
    ::chown((lower / "tools").c_str(), nobody, nobody);
    ::chown((lower / "tools/program").c_str(), 1, 1);
    ::chmod((lower / "tools/program").c_str(), 06755);
}

std::string copy_up_foreign_program(const fs::path &base) {
    struct stat status{};
    fs::rename(base / "ours/tools", base / "ours/moved-tools");
    if (::lstat((base / "upper/moved-tools/program").c_str(), &status) != 0) return "the program is not copied up\n";
    fs::remove_all(base / "ours/moved-tools");
    if (status.st_mode == (S_IFREG | 0755)) return {};
    return std::format("copied up: {:o} of {}\n", status.st_mode, status.st_uid);
}

// The output of the unprivileged process; at most what a pipe holds.
std::string as_nobody(const fs::path &base, bool namespaces) {
    std::string said;
    for (const char *place : {"upper", "plain"}) {
        write_text(base / place / "read-only", "of a file without a name");
        fs::permissions(base / place / "read-only", fs::perms::owner_read);
    }
    const auto mounted = base::run(
        {.argv = {(base / "bin/unionfs").string(), "-o",
                  std::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", base.string()), (base / "ours").string()},
         .capture_output = true});
    if (!mounted || mounted->status != 0) return "mount: " + (mounted ? mounted->output : "not started");
    said += mounted->output;
    if (!namespaces) said += copy_up_foreign_program(base);
    work_in(base / "ours");
    work_in(base / "plain");
    const std::string ours = parity::tree(base / "ours"), plain = parity::tree(base / "plain");
    if (ours != plain) said += "ours:\n" + ours + "plain:\n" + plain;
    if (::getxattr((base / "upper/moved/inner").c_str(), "user.overlay.opaque", nullptr, 0) != 1)
        said += "no mark on the upper's new directory\n";
    struct stat status{};
    if (::lstat((base / "upper/file").c_str(), &status) != 0 || !S_ISCHR(status.st_mode)) said += "no whiteout in the upper\n";
    if (namespaces) {
        if (::umount2((base / "ours").c_str(), 0) < 0) said += std::format("umount: {}\n", errno);
        const std::string layers = std::format("userxattr,lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", base.string());
        if (::mount("overlay", (base / "kernel").c_str(), "overlay", 0, layers.c_str()) < 0)
            said += std::format("overlayfs: {}\n", errno);
        else if (parity::tree(base / "kernel") != ours)
            said += "overlayfs:\n" + parity::tree(base / "kernel") + "ours:\n" + ours;
    } else {
        const auto gone = base::run({.argv = {"fusermount3", "-u", (base / "ours").string()}, .capture_output = true});
        if (!gone || gone->status != 0) said += "fusermount3 -u: " + (gone ? gone->output : "not started");
    }
    return said;
}

void enter_namespaces() {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) throw std::runtime_error(std::format("unshare: {}", errno));
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", std::format("0 {} 1", nobody));
    write_text("/proc/self/gid_map", std::format("0 {} 1", nobody));
}

// Mounts a private overlay on /etc, which must not change: with the link that fusermount3 needs, or without.
void lay_over_etc(const fs::path &base, bool mtab) {
    const std::string layers = std::format("lowerdir=/etc,upperdir={0}/etc,workdir={0}/etc-work", base.string());
    if (::mount("overlay", "/etc", "overlay", 0, layers.c_str()) < 0) throw std::runtime_error(std::format("/etc: {}", errno));
    fs::remove("/etc/mtab");
    if (mtab) fs::create_symlink("/proc/self/mounts", "/etc/mtab");
}

// Continues as the first process of a PID namespace, so that a daemon that nobody can unmount ends with it.
void enter_pid_namespace() {
    if (::unshare(CLONE_NEWPID) < 0) throw std::runtime_error(std::format("unshare: {}", errno));
    if (const pid_t first = ::fork(); first > 0) {
        ::waitpid(first, nullptr, 0);
        ::_exit(0);
    }
    if (::mount("proc", "/proc", "proc", 0, nullptr) < 0) throw std::runtime_error(std::format("/proc: {}", errno));
}

// Runs it as nobody in a child whose /dev/fuse is open to everybody.
std::string without_root(bool namespaces, bool mtab = true) {
    char name[] = "/tmp/rootless-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    const fs::path base = name;
    std::optional<support::Backing> disk(std::in_place, base, parity::backing());
    for (const char *directory : {"bin", "ours", "plain", "kernel", "lower", "upper", "work", "etc", "etc-work"})
        fs::create_directory(base / directory);
    fs::copy_file(parity::program(), base / "bin/unionfs");  // other users may not reach the build directory
    populate(base / "lower");
    populate(base / "plain");
    for (const auto &entry : fs::recursive_directory_iterator(base)) ::lchown(entry.path().c_str(), nobody, nobody);
    if (!namespaces) populate_with_foreign_program(base / "lower");
    const std::string result = base / "result";
    const pid_t child = ::fork();
    if (child == 0) {
        std::string said;
        try {
            ::unshare(CLONE_NEWNS);
            enter_pid_namespace();
            lay_over_etc(base, mtab);
            ::mknod((base / "fuse").c_str(), S_IFCHR, makedev(10, 229));
            ::chmod((base / "fuse").c_str(), 0666);
            ::mount((base / "fuse").c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr);
            write_text(result, "");
            ::chown(result.c_str(), nobody, nobody);
            if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) throw std::runtime_error("setuid");
            (void)::prctl(PR_SET_DUMPABLE, 1);  // otherwise its maps belong to root
            if (namespaces) enter_namespaces();
            said = as_nobody(base, namespaces);
        } catch (const std::exception &error) {
            said += error.what();
        } catch (...) {
            said += "a check of the tree failed";
        }
        write_text(result, said);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::ifstream file(result);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    disk.reset();
    ::rmdir(name);
    return text;
}

constexpr const char *what_is_slower =
    "unionfs: mode=auto: store: without root there is no passthrough, so large reads and writes go through the daemon\n";

}  // namespace

TEST_CASE("in a user namespace the union works, says what is slower, and overlayfs with userxattr reads its upper") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    CHECK(without_root(true) == what_is_slower);
}

TEST_CASE("without root the union is mounted by fusermount3, and says what is slower") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    CHECK(without_root(false) == what_is_slower);
}

TEST_CASE("what fusermount3 complains of is told with the remedy: in a root without /etc/mtab it mounts, and does not unmount") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string complaint = "fusermount3: failed to open /etc/mtab: No such file or directory";
    CHECK(without_root(false, false) ==
          std::format("unionfs: {}; it can't unmount either until root runs: ln -s /proc/self/mounts /etc/mtab\n", complaint) +
              what_is_slower + std::format("fusermount3 -u: {}\n", complaint));
}
