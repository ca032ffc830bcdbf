// Permissions depend on the caller and all its groups: the kernel decides by the attributes that we report.
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <format>
#include <functional>

#include "tests/parity/place.h"

using parity::result;
using parity::same;

namespace {

struct User {
    uid_t id;
    gid_t group, supplementary;
};

constexpr User member{1000, 1000, 50}, other_member{1001, 1001, 50}, stranger{1002, 1002, 1002};

// The errno after `work`, 0 if it succeeds.
std::string as(const User &user, const std::function<void()> &work) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgroups(1, &user.supplementary) != 0 || ::setgid(user.group) != 0 || ::setuid(user.id) != 0) ::_exit(99);
        ::umask(0);
        errno = 0;
        work();
        ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return std::to_string(WEXITSTATUS(status)) + " ";
}

std::string seen(const char *path) {
    struct stat status{};
    if (::lstat(path, &status) < 0) return result(-1);
    return std::format("{:o} {}:{} ", status.st_mode, status.st_uid, status.st_gid);
}

void read_file(const char *path) { (void)::open(path, O_RDONLY | O_CLOEXEC); }

}  // namespace

TEST_CASE("a supplementary group opens what is its own, before copy-up and after") {
    same([] {
        std::string text;
        for (const char *path : {"file", "directory/a"}) text += result(::chown(path, 0, 50)) + result(::chmod(path, 0640)) + " ";
        for (const User &user : {member, stranger}) text += as(user, [] { read_file("file"); });
        text += result(::chown("directory", 0, 50)) + result(::chmod("directory", 0770)) + " ";
        for (const User &user : {member, stranger}) {
            text += as(user, [] { read_file("directory/a"); });
            text += as(user, [] { (void)::mkdir("directory/made", 0700); }) + seen("directory/made");
            text += as(user, [] { (void)::truncate("directory/a", 1); });
        }
        return text;
    });
}
TEST_CASE("an owner gives a file to a supplementary group, and to no other") {
    same([] {
        std::string text = result(::chown("file", 1000, 1000)) + " ";
        text += as(member, [] { (void)::chown("file", static_cast<uid_t>(-1), 50); }) + seen("file");
        text += as(member, [] { (void)::chown("file", static_cast<uid_t>(-1), 1001); }) + seen("file");
        // chmod(2): set-group-ID is silently cleared if the caller is not in the file's group.
        text += as(member, [] { (void)::chmod("file", 02755); }) + seen("file");
        text += result(::chown("file", 1000, 60)) + " ";
        return text + as(member, [] { (void)::chmod("file", 02755); }) + seen("file");
    });
}
TEST_CASE("in a sticky directory only the owners of an object and of the directory remove and rename it") {
    same([] {
        std::string text = result(::chown("directory", 1001, 1001)) + result(::chmod("directory", 01777)) +
                           result(::chown("directory/a", 1000, 1000)) + " ";
        text += as(member, [] { (void)::mkdir("directory/of-member", 0777); });
        text += as(stranger, [] { (void)::unlink("directory/a"); });
        text += as(stranger, [] { (void)::rename("directory/a", "directory/b"); });
        text += as(stranger, [] { (void)::rmdir("directory/of-member"); });
        text += as(stranger, [] { (void)::mkdir("directory/of-stranger", 0777); });
        text += as(stranger, [] { (void)::rename("directory/of-stranger", "directory/of-member"); });
        text += as(member, [] { (void)::rename("directory/a", "directory/b"); });
        text += as(other_member, [] { (void)::unlink("directory/b"); });  // the directory's owner
        return text + as(member, [] { (void)::rmdir("directory/of-member"); }) + seen("directory/of-stranger");
    });
}
TEST_CASE("what is made in a set-group-ID directory is of its group, whoever makes it") {
    same([] {
        std::string text = result(::chown("directory", 0, 50)) + result(::chmod("directory", 02777)) + " ";
        for (const User &user : {member, stranger}) {
            text += as(user, [] { (void)::mkdir("directory/made", 0755); }) + seen("directory/made");
            text += as(user, [] { (void)::mkdir("directory/made/deeper", 0755); }) + seen("directory/made/deeper");
            // A file keeps the bit only if its creator is in the group (inode(7)).
            text += as(user, [] { (void)::open("directory/made/file", O_CREAT | O_WRONLY | O_CLOEXEC, 02755); }) +
                    seen("directory/made/file");
            text += as(user, [] { (void)::symlink("target", "directory/made/link"); }) + seen("directory/made/link");
            text += as(user, [] { (void)::mkfifo("directory/made/fifo", 0600); }) + seen("directory/made/fifo");
            text += result(::rename("directory/made", std::format("kept-{}", user.id).c_str())) + " ";
        }
        return text;
    });
}
