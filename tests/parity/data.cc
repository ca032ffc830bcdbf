#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstring>
#include <format>

#include "mounts/base/fd.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::result;
using parity::same;

namespace {

std::string first_bytes(int fd) {
    std::array<char, 8> bytes{};
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
    return std::format("{}:{}", n, std::string(bytes.data(), n > 0 ? static_cast<size_t>(n) : 0));
}

std::string as_user(const std::function<void()> &work) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(1000) != 0 || ::setuid(1000) != 0) ::_exit(99);
        errno = 0;
        work();
        ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return std::to_string(WEXITSTATUS(status));
}

}  // namespace

TEST_CASE("a lower file is written to, at its start and its end") {
    same([] {
        const Fd fd(::open("file", O_RDWR | O_CLOEXEC));
        const std::string start = result(::write(fd.get(), "UPPER", 5));
        const Fd end(::open("file", O_WRONLY | O_APPEND | O_CLOEXEC));
        return start + " " + result(::write(end.get(), "END", 3)) + " " + first_bytes(fd.get());
    });
}
TEST_CASE("a reader that was there before copy-up sees what is written after it") {
    same([] {
        const Fd reader(::open("file", O_RDONLY | O_CLOEXEC));
        const std::string before = first_bytes(reader.get());
        const Fd writer(::open("file", O_WRONLY | O_CLOEXEC));
        return before + " " + result(::write(writer.get(), "changed!", 8)) + " " + first_bytes(reader.get());
    });
}
TEST_CASE("truncation and O_TRUNC of lower files") {
    same([] {
        const Fd fd(::open("directory/a", O_WRONLY | O_TRUNC | O_CLOEXEC));
        return result(::truncate("file", 4)) + " " + result(::truncate("linked", 1 << 16)) + " " +
               result(::truncate("directory", 0)) + " " + result(::ftruncate(fd.get(), 3));
    });
}
TEST_CASE("an unlinked file lives on for whoever has it open") {
    same([] {
        const Fd fd(::open("file", O_RDWR | O_CLOEXEC));
        const std::string gone = result(::unlink("file"));
        struct stat status{};
        const std::string wrote = result(::pwrite(fd.get(), "still", 5, 0));
        ::fstat(fd.get(), &status);
        return gone + " " + wrote + " " + first_bytes(fd.get()) + " links " + std::to_string(status.st_nlink);
    });
}
TEST_CASE("a shared mapping and write see each other") {
    same([] {
        const Fd fd(::open("directory/a", O_RDWR | O_CLOEXEC));
        std::string text = result(::ftruncate(fd.get(), 4096));
        auto *bytes = static_cast<char *>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
        if (bytes == MAP_FAILED) return text + result(-1);
        std::memcpy(bytes, "mapped", 6);
        text += " " + first_bytes(fd.get()) + " " + result(::pwrite(fd.get(), "W", 1, 0));
        text += bytes[0];
        text += result(::msync(bytes, 4096, MS_SYNC));
        ::munmap(bytes, 4096);
        return text;
    });
}
TEST_CASE("holes can be found and punched") {
    same([] {
        const Fd fd(::open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        std::string text = result(::pwrite(fd.get(), "x", 1, 1 << 20));
        text += " " + result(::lseek(fd.get(), 0, SEEK_DATA)) + " " + result(::lseek(fd.get(), 0, SEEK_HOLE));
        text += " " + result(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4096));
        return text + " " + result(::fallocate(fd.get(), 0, 0, 8192));
    });
}
TEST_CASE("O_TMPFILE gets a name by linkat") {
    same([] {
        const Fd fd(::open("directory", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
        std::string text = fd ? "open" : result(-1);
        text += " " + result(::write(fd.get(), "named", 5));
        return text + " " +
               result(
                   ::linkat(AT_FDCWD, std::format("/proc/self/fd/{}", fd.get()).c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    });
}
TEST_CASE("mode, owner and times of lower objects change") {
    same([] {
        const timespec times[2] = {{1000, 123456789}, {2000, 987654321}};
        struct stat status{};
        std::string text = result(::chmod("file", 0604)) + result(::chown("directory", 12, 34)) +
                           result(::lchown("symlink", 5, 6)) + result(::utimensat(AT_FDCWD, "directory/inner", times, 0)) +
                           result(::chown("suid", 1, 1));
        ::stat("directory/inner", &status);
        return text + std::format(" {}.{} {}.{}", status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec,
                                  status.st_mtim.tv_nsec);
    });
}
TEST_CASE("set-user-ID goes when somebody without the right writes") {
    same([] {
        std::string text = result(::chmod("suid", 06777));
        text += " " + as_user([] {
                    const Fd fd(::open("suid", O_WRONLY | O_CLOEXEC));
                    (void)!::write(fd.get(), "x", 1);
                });
        struct stat status{};
        ::stat("suid", &status);
        return text + std::format(" {:o}", status.st_mode);
    });
}
TEST_CASE("permissions are the caller's") {
    same([] {
        std::string text = as_user([] { ::open("file", O_WRONLY | O_CLOEXEC); }) + as_user([] { ::mkdir("mine", 0755); });
        text += result(::chmod("empty", 01777));
        text += as_user([] { ::mkdir("empty/mine", 0755); }) +
                as_user([] { ::open("empty/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0640); });
        return text + as_user([] { ::unlink("file"); });
    });
}
TEST_CASE("extended attributes of lower files and directories") {
    same([] {
        std::array<char, 16> value{};
        std::string text = result(::setxattr("file", "user.one", "1", 1, 0)) +
                           result(::setxattr("file", "user.one", "2", 1, XATTR_CREATE)) +
                           result(::getxattr("file", "user.one", value.data(), value.size())) + value[0];
        text += result(::removexattr("file", "user.none")) + result(::setxattr("directory", "trusted.two", "22", 2, 0));
        return text + result(::removexattr("file", "user.one"));
    });
}
TEST_CASE("st_ino stays the same over copy-up and rename") {
    same([] {
        struct stat before{}, after{};
        ::stat("file", &before);
        const std::string text = result(::chmod("file", 0600)) + result(::rename("file", "directory/moved"));
        ::stat("directory/moved", &after);
        return text + (before.st_ino == after.st_ino ? " same" : " other");
    });
}
// overlayfs shows its own trusted.overlay.origin to root, so the reference is a plain directory.
TEST_CASE("no mark of ours is listed") {
    same(
        [] {
            std::array<char, 256> list{};
            std::string text = result(::setxattr("file", "user.one", "1", 1, 0)) + result(::rename("directory", "moved"));
            return text + result(::listxattr("file", list.data(), list.size())) + list.data() +
                   result(::listxattr("moved", nullptr, 0));
        },
        false);
}
TEST_CASE("statx gives a birth time, the same in any order of asking") {
    same([] {
        struct statx one{}, two{};
        std::string text = result(::statx(AT_FDCWD, "file", 0, STATX_BTIME, &one));
        text += result(::chmod("directory/a", 0600)) +
                result(::statx(AT_FDCWD, "directory/a", 0, STATX_BASIC_STATS | STATX_BTIME, &two));
        struct stat status{};
        ::stat("directory/a", &status);
        return text + std::format(" {} {} {:o} {} {}", one.stx_mask & STATX_BTIME, two.stx_mask & STATX_BTIME, two.stx_mode,
                                  two.stx_size, two.stx_ino == status.st_ino && one.stx_btime.tv_sec > 1000000000);
    });
}
