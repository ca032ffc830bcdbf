// Set-ID bits: a write to a file clears them, whatever the call, unless the writer could set them himself.
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <functional>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::result;
using parity::same;

namespace {

struct User {
    uid_t id;
    gid_t group, supplementary;
};
constexpr std::array<User, 4> callers{{{0, 0, 0}, {1000, 1000, 50}, {1001, 1001, 50}, {1002, 1002, 1002}}};
constexpr std::array<std::pair<uid_t, gid_t>, 4> owners{{{0, 0}, {1000, 1000}, {1000, 50}, {0, 1002}}};
constexpr std::array<mode_t, 11> modes{04777, 02777, 02767, 06777, 06766, 0777, 04766, 04775, 02775, 06755, 07775};

struct Operation {
    const char *name;
    std::function<void(const char *)> run;
};

void with(const char *path, int flags, const std::function<void(int)> &work) {
    const Fd fd(::open(path, flags | O_CLOEXEC));
    if (fd) work(fd.get());
}

void allocate(const char *path, int mode) {
    with(path, O_RDWR, [&](int fd) { (void)::fallocate(fd, mode, 0, 4096); });
}

const std::vector<Operation> operations{
    {"write", [](const char *path) { with(path, O_WRONLY, [](int fd) { (void)!::write(fd, "x", 1); }); }},
    {"truncate", [](const char *path) { (void)::truncate(path, 2); }},
    {"O_TRUNC", [](const char *path) { with(path, O_WRONLY | O_TRUNC, [](int) {}); }},
    {"fallocate", [](const char *path) { allocate(path, 0); }},
    {"fallocate keep", [](const char *path) { allocate(path, FALLOC_FL_KEEP_SIZE); }},
    {"fallocate hole", [](const char *path) { allocate(path, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE); }},
    {"splice",
     [](const char *path) {
         std::array<int, 2> ends{};
         if (::pipe2(ends.data(), O_CLOEXEC) < 0) return;
         const Fd out_of(ends[0]), into(ends[1]);
         (void)!::write(into.get(), "x", 1);
         with(path, O_WRONLY, [&](int fd) { (void)::splice(out_of.get(), nullptr, fd, nullptr, 1, 0); });
     }},
    {"copy_file_range",
     [](const char *path) {
         with("directory/a", O_RDONLY,
              [&](int in) { with(path, O_WRONLY, [&](int out) { (void)::copy_file_range(in, nullptr, out, nullptr, 2, 0); }); });
     }},
    {"sendfile",
     [](const char *path) {
         with("directory/a", O_RDONLY,
              [&](int in) { with(path, O_WRONLY, [&](int out) { (void)::sendfile(out, in, nullptr, 2); }); });
     }},
    {"chown group", [](const char *path) { (void)::chown(path, static_cast<uid_t>(-1), 50); }},
    {"chown to itself",
     [](const char *path) {
         struct stat status{};
         if (::stat(path, &status) == 0) (void)::chown(path, status.st_uid, status.st_gid);
     }},
};

// The errno after `work`, 0 if it succeeds.
std::string as(const User &user, const std::function<void()> &work) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgroups(1, &user.supplementary) != 0 || ::setgid(user.group) != 0 || ::setuid(user.id) != 0) ::_exit(99);
        errno = 0;
        work();
        ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return std::to_string(WEXITSTATUS(status));
}

std::string mode_of(const char *path) {
    struct stat status{};
    return ::lstat(path, &status) < 0 ? result(-1) : std::format("{:o}", status.st_mode & 07777);
}

constexpr const char *path = "directory/a-program";

// Sets the bits, and makes the kernel cache the current state.
void make_program(uid_t owner, gid_t group, mode_t mode) {
    ::unlink(path);
    {
        const Fd fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        REQUIRE(::write(fd.get(), "program", 7) == 7);
    }
    REQUIRE(::chown(path, owner, group) == 0);
    REQUIRE(::chmod(path, mode) == 0);
    (void)mode_of(path);
}

}  // namespace

TEST_CASE("set-ID bits go with whoever writes, by every call, mode, owner and caller as on tmpfs and overlayfs") {
    same([] {
        std::string text = result(::chmod("directory", 0755)) + "\n";
        for (const Operation &operation : operations)
            for (const mode_t mode : modes)
                for (const auto &[owner, group] : owners)
                    for (const User &caller : callers) {
                        make_program(owner, group, mode);
                        const std::string error = as(caller, [&] { operation.run(path); });
                        text += std::format("{} of {:o} {}:{} by {}: {} {}\n", operation.name, mode, owner, group, caller.id,
                                            error, mode_of(path));
                    }
        return text;
    });
}
TEST_CASE("chown to nobody by the owner takes set-ID bits") {
    same([] {
        std::string text;
        for (const mode_t mode : modes)
            for (const User &caller : {callers[0], callers[1]}) {
                make_program(1000, 1000, mode);
                text += as(caller, [] { (void)::chown(path, static_cast<uid_t>(-1), static_cast<gid_t>(-1)); });
                text += " " + mode_of(path) + "\n";
            }
        return text;
    });
}
TEST_CASE("an access ACL by an owner who is not of the group takes set-group-ID") {
    same([] {
        // acl(5): version 2; owner rwx, user 1002 r, then group, mask, others.
        struct [[gnu::packed]] {
            uint32_t version = 2;
            struct [[gnu::packed]] {
                uint16_t tag, permissions;
                uint32_t id;
            } entries[5] = {{1, 7, ~0U}, {2, 4, 1002}, {4, 7, ~0U}, {16, 7, ~0U}, {32, 5, ~0U}};
        } list;
        std::string text;
        for (const gid_t group : {1000U, 50U, 60U}) {
            make_program(1000, group, 02775);
            text += as(callers[1], [&] { (void)::setxattr(path, "system.posix_acl_access", &list, sizeof list, 0); });
            text += " " + mode_of(path) + "\n";
        }
        return text;
    });
}

TEST_CASE("a file that becomes set-ID while it is open loses the bits when somebody else writes to it") {
    same([] {
        std::string text;
        for (const mode_t mode : {04777, 02777, 06777})
            for (const User &caller : {callers[1], callers[2], callers[3]}) {
                make_program(0, 0, 0666);
                const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
                text += result(::chmod(path, mode));
                text += " " + as(caller, [&] { (void)!::write(fd.get(), "x", 1); });
                text += " " + mode_of(path) + "\n";
            }
        return text;
    });
}
