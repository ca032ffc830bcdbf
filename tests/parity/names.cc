#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>

#include "tests/parity/place.h"

using parity::result;
using parity::same;

namespace {

long rename2(const char *from, const char *to, unsigned flags) {
    return ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

std::string add(std::initializer_list<std::string> parts) {
    std::string text;
    for (const std::string &part : parts) text += part + " ";
    return text;
}

}  // namespace

TEST_CASE("a missing name, and a name too long") {
    same([] {
        return add({result(::access("nothing", F_OK)), result(::access(std::string(256, 'n').c_str(), F_OK)),
                    result(::access(std::string(255, 'n').c_str(), F_OK))});
    });
}
TEST_CASE("a name of 255 bytes can be made") {
    same([] { return result(::mkdir(std::string(255, 'n').c_str(), 0755)); });
}
TEST_CASE("a whiteout hides a lower file of the same name") {
    same([] { return add({result(::unlink("file")), result(::access("file", F_OK)), result(::unlink("file"))}); });
}
TEST_CASE("a directory that holds something is not removed") {
    same([] { return add({result(::rmdir("directory")), result(::unlink("directory")), result(::rmdir("file"))}); });
}
TEST_CASE("a lower directory is removed and made anew, empty") {
    same([] {
        return add({result(::unlink("directory/a")), result(::unlink("directory/inner/b")), result(::rmdir("directory/inner")),
                    result(::rmdir("directory")), result(::mkdir("directory", 0700)), result(::rmdir("directory/inner")),
                    result(::mkdir("directory/inner", 0711))});
    });
}
TEST_CASE("a file is made where a lower file was removed") {
    same([] {
        const std::string gone = result(::unlink("file"));
        const int fd = ::open("file", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        const std::string wrote = result(::write(fd, "new", 3));
        ::close(fd);
        return add({gone, wrote, result(::open("file", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600))});
    });
}
TEST_CASE("a lower file is renamed, and onto another") {
    same([] {
        return add(
            {result(::rename("file", "moved")), result(::rename("moved", "directory/a")), result(::rename("file", "again"))});
    });
}
TEST_CASE("a lower directory is renamed, and renamed again") {
    same([] {
        return add({result(::rename("directory", "moved")), result(::rename("moved", "empty")),
                    result(::rename("empty/inner", "inner")), result(::access("inner/b", F_OK)),
                    result(::mkdir("directory", 0755)), result(::access("directory/a", F_OK))});
    });
}
TEST_CASE("a directory is not renamed onto one that holds something, nor into itself") {
    same([] {
        return add({result(::rename("empty", "directory")), result(::rename("directory", "directory/inner/x")),
                    result(::rename("directory", "file")), result(::rename("file", "directory"))});
    });
}
TEST_CASE("a new directory takes the name of a removed lower directory") {
    same([] {
        std::filesystem::remove_all("directory");
        return add({result(::mkdir("new", 0755)), result(::mkdir("new/x", 0755)), result(::rename("new", "directory")),
                    result(::access("directory/a", F_OK))});
    });
}
TEST_CASE("rename with NOREPLACE and EXCHANGE") {
    same([] {
        return add({result(rename2("file", "suid", RENAME_NOREPLACE)), result(rename2("file", "directory", RENAME_EXCHANGE)),
                    result(rename2("file", "nothing", RENAME_EXCHANGE)), result(rename2("directory", "fresh", RENAME_NOREPLACE)),
                    result(::access("file/inner/b", F_OK))});
    });
}
TEST_CASE("a hard link of a lower file shows what is written through it") {
    same([] {
        const std::string linked = result(::link("file", "directory/link"));
        const int fd = ::open("directory/link", O_WRONLY | O_APPEND | O_CLOEXEC);
        const std::string wrote = result(::write(fd, "more", 4));
        ::close(fd);
        return add({linked, wrote, result(::link("directory", "x")), result(::link("file", "suid")), result(::unlink("file"))});
    });
}
TEST_CASE("lower hard links stay links over copy-up") {
    same(
        [] {
            struct stat one{}, two{};
            ::stat("linked", &one);
            ::stat("linked-too", &two);
            const int fd = ::open("linked", O_WRONLY | O_APPEND | O_CLOEXEC);
            const std::string wrote = result(::write(fd, "more", 4));
            ::close(fd);
            return add(
                {wrote, std::to_string(std::filesystem::file_size("linked-too")), one.st_ino == two.st_ino ? "one" : "two"});
        },
        false);
}
TEST_CASE("symlinks, FIFOs, sockets and devices") {
    same([] {
        return add({result(::symlink("nowhere", "new-link")), result(::symlink("x", "file")),
                    result(::mknod("sock", S_IFSOCK | 0600, 0)), result(::mkfifo("fifo", 0600)),
                    result(::mknod("null", S_IFCHR | 0666, (1 << 8) | 3)), result(::unlink("symlink")),
                    result(::unlink("fifo"))});
    });
}
TEST_CASE("a set-group-ID directory gives its group on") {
    same([] {
        const std::string group = result(::chown("empty", 0, 77));
        const std::string mode = result(::chmod("empty", 02775));
        return add({group, mode, result(::mkdir("empty/x", 0755)), result(::mknod("empty/y", S_IFREG | 0644, 0))});
    });
}
TEST_CASE("all names of a directory come once while it is emptied") {
    same([] {
        size_t seen = 0;
        for (const auto &entry : std::filesystem::directory_iterator("many")) {
            ++seen;
            ::unlink(entry.path().c_str());
        }
        return add({std::to_string(seen), result(::rmdir("many"))});
    });
}
