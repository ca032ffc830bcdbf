// Who the caller is counts, by all its groups: the kernel judges by what we say of an object.
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

// The errno that `work` leaves, 0 for none.
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
        for (const char *path : {"file", "folder/a"}) text += result(::chown(path, 0, 50)) + result(::chmod(path, 0640)) + " ";
        for (const User &user : {member, stranger}) text += as(user, [] { read_file("file"); });
        text += result(::chown("folder", 0, 50)) + result(::chmod("folder", 0770)) + " ";
        for (const User &user : {member, stranger}) {
            text += as(user, [] { read_file("folder/a"); });
            text += as(user, [] { (void)::mkdir("folder/made", 0700); }) + seen("folder/made");
            text += as(user, [] { (void)::truncate("folder/a", 1); });
        }
        return text;
    });
}
TEST_CASE("an owner gives a file to a supplementary group, and to no other") {
    same([] {
        std::string text = result(::chown("file", 1000, 1000)) + " ";
        text += as(member, [] { (void)::chown("file", static_cast<uid_t>(-1), 50); }) + seen("file");
        text += as(member, [] { (void)::chown("file", static_cast<uid_t>(-1), 1001); }) + seen("file");
        // chmod(2): set-group-ID falls away in silence where the caller is not of the file's group.
        text += as(member, [] { (void)::chmod("file", 02755); }) + seen("file");
        text += result(::chown("file", 1000, 60)) + " ";
        return text + as(member, [] { (void)::chmod("file", 02755); }) + seen("file");
    });
}
TEST_CASE("in a sticky folder only the owners of an object and of the folder remove and rename it") {
    same([] {
        std::string text = result(::chown("folder", 1001, 1001)) + result(::chmod("folder", 01777)) +
                           result(::chown("folder/a", 1000, 1000)) + " ";
        text += as(member, [] { (void)::mkdir("folder/of-member", 0777); });
        text += as(stranger, [] { (void)::unlink("folder/a"); });
        text += as(stranger, [] { (void)::rename("folder/a", "folder/b"); });
        text += as(stranger, [] { (void)::rmdir("folder/of-member"); });
        text += as(stranger, [] { (void)::mkdir("folder/of-stranger", 0777); });
        text += as(stranger, [] { (void)::rename("folder/of-stranger", "folder/of-member"); });
        text += as(member, [] { (void)::rename("folder/a", "folder/b"); });
        text += as(other_member, [] { (void)::unlink("folder/b"); });  // the folder's owner
        return text + as(member, [] { (void)::rmdir("folder/of-member"); }) + seen("folder/of-stranger");
    });
}
TEST_CASE("what is made in a set-group-ID folder is of its group, whoever makes it") {
    same([] {
        std::string text = result(::chown("folder", 0, 50)) + result(::chmod("folder", 02777)) + " ";
        for (const User &user : {member, stranger}) {
            text += as(user, [] { (void)::mkdir("folder/made", 0755); }) + seen("folder/made");
            text += as(user, [] { (void)::mkdir("folder/made/deeper", 0755); }) + seen("folder/made/deeper");
            // A file keeps the bit only where its maker is of the group (inode(7)).
            text += as(user, [] { (void)::open("folder/made/file", O_CREAT | O_WRONLY | O_CLOEXEC, 02755); }) +
                    seen("folder/made/file");
            text += as(user, [] { (void)::symlink("target", "folder/made/link"); }) + seen("folder/made/link");
            text += as(user, [] { (void)::mkfifo("folder/made/fifo", 0600); }) + seen("folder/made/fifo");
            text += result(::rename("folder/made", std::format("kept-{}", user.id).c_str())) + " ";
        }
        return text;
    });
}
