// Operations beyond reading and writing: allocation, ranges, attributes that the kernel interprets, execution.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <format>
#include <vector>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::result;
using parity::same;

namespace {

// acl(5) as the kernel stores it: version 2, then entries of tag, permissions, ID, ordered by tag.
std::string acl(const std::vector<std::array<uint32_t, 3>> &entries) {
    std::string bytes("\2\0\0\0", 4);
    for (const auto &[tag, permissions, id] : entries) {
        const uint16_t half[] = {static_cast<uint16_t>(tag), static_cast<uint16_t>(permissions)};
        bytes.append(reinterpret_cast<const char *>(half), sizeof half).append(reinterpret_cast<const char *>(&id), sizeof id);
    }
    return bytes;
}

// Owner and others have no access; user 1000 reads and writes.
std::string acl_for_user_1000() {
    constexpr uint32_t owner = 1, user = 2, group = 4, mask = 16, other = 32, nobody = ~0U;
    return acl({{owner, 6, nobody}, {user, 6, 1000}, {group, 0, nobody}, {mask, 6, nobody}, {other, 0, nobody}});
}

std::string attribute(const char *path, const char *name) {
    std::array<char, 256> value{};
    const ssize_t n = ::getxattr(path, name, value.data(), value.size());
    std::string text = result(n) + ":";
    for (ssize_t i = 0; i < n; ++i) text += std::format("{:02x}", static_cast<unsigned char>(value[static_cast<size_t>(i)]));
    return text;
}

std::string as_user_1000(const std::function<long()> &work) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(1000) != 0 || ::setuid(1000) != 0) ::_exit(99);
        ::_exit(work() < 0 ? (errno != 0 ? errno : 98) : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return std::to_string(WEXITSTATUS(status));
}

std::string data_of(const char *path, size_t size, off_t offset) {
    std::string bytes(size, '\0');
    const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    const ssize_t n = ::pread(fd.get(), bytes.data(), size, offset);
    return std::format("{}:{:x}", n, std::hash<std::string>{}(bytes));
}

}  // namespace

TEST_CASE("room is made, zeroed and taken back in a lower file, in each way that the kernel asks a FUSE for") {
    for (const int mode : {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                           FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
        CAPTURE(mode);
        same([mode] {
            const Fd fd(::open("file", O_RDWR | O_CLOEXEC));
            std::string text = result(::pwrite(fd.get(), std::string(65536, 'd').data(), 65536, 0));
            text += " " + result(::fallocate(fd.get(), mode, 8192, 16384));
            text += " " + result(::fallocate(fd.get(), mode, (1 << 20) - 4096, 16384));  // past the end
            struct stat status{};
            ::fstat(fd.get(), &status);
            return text + std::format(" size {} ", status.st_size) + data_of("file", 65536, 0);
        });
    }
}

TEST_CASE("a range is copied between files by copy_file_range, out of a lower one and within one") {
    same([] {
        const Fd from(::open("file", O_RDWR | O_CLOEXEC)), to(::open("copy", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        off_t at = 3, onto = 10;
        std::string text = result(::copy_file_range(from.get(), &at, to.get(), &onto, 100000, 0));
        text += std::format(" {} {}", at, onto);
        at = 0, onto = 4;
        text += " " + result(::copy_file_range(from.get(), &at, from.get(), &onto, 100, 0));  // overlapping ranges
        at = 0, onto = 4096;
        text += " " + result(::copy_file_range(from.get(), &at, from.get(), &onto, 11, 0));
        const Fd other(::open("directory/a", O_RDONLY | O_CLOEXEC));
        text += " " + result(::copy_file_range(to.get(), nullptr, other.get(), nullptr, 1, 0));  // not open for writing
        return text + " " + data_of("copy", 100010, 0) + " " + data_of("file", 8192, 0);
    });
}

TEST_CASE("an ACL of a lower file lets in whom it names, before a copy-up and after") {
    same([] {
        const std::string value = acl_for_user_1000();
        std::string text = result(::setxattr("file", "system.posix_acl_access", value.data(), value.size(), 0));
        text += " " + attribute("file", "system.posix_acl_access");
        text += " " + as_user_1000([] { return ::access("file", W_OK); });
        const Fd fd(::open("file", O_WRONLY | O_CLOEXEC));
        text += " " + result(::write(fd.get(), "up", 2)) + " " + as_user_1000([] { return ::open("file", O_RDWR | O_CLOEXEC); });
        text += " " + result(::chmod("file", 0600));  // changes the mask
        return text + " " + as_user_1000([] { return ::open("file", O_RDWR | O_CLOEXEC); }) + " " +
               attribute("file", "system.posix_acl_access");
    });
}

TEST_CASE("a directory's default ACL goes to what is made in it") {
    same([] {
        const std::string value = acl_for_user_1000();
        std::string text = result(::setxattr("directory", "system.posix_acl_default", value.data(), value.size(), 0));
        const mode_t before = ::umask(077);  // ignored where there is a default ACL
        const Fd fd(::open("directory/made", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
        text += " " + result(::mkdir("directory/within", 0777));
        ::umask(before);
        text += " " + attribute("directory/made", "system.posix_acl_access");
        text += " " + attribute("directory/within", "system.posix_acl_access");
        return text + " " + attribute("directory/within", "system.posix_acl_default");
    });
}

TEST_CASE("attributes of the classes security and trusted are kept over a copy-up") {
    same([] {
        // struct vfs_cap_data, version 2: CAP_NET_RAW permitted and effective.
        const std::array<uint32_t, 5> capability{0x02000001, 1U << 13, 0, 0, 0};
        std::string text = result(::setxattr("file", "security.capability", capability.data(), sizeof capability, 0));
        text += " " + result(::setxattr("file", "security.ours", "value", 5, XATTR_CREATE));
        text += " " + result(::setxattr("file", "trusted.ours", "value", 5, XATTR_CREATE));
        text += " " + result(::setxattr("file", "trusted.ours", "again", 5, XATTR_CREATE));
        text += " " + result(::chmod("file", 0755));
        text += " " + attribute("file", "security.capability") + " " + attribute("file", "trusted.ours");
        const Fd fd(::open("file", O_WRONLY | O_CLOEXEC));  // a write clears the file's capabilities
        text += " " + result(::write(fd.get(), "x", 1)) + " " + attribute("file", "security.capability");
        return text + " " + attribute("file", "security.ours");
    });
}

TEST_CASE("attributes that are named like the union's own marks are the caller's, and mark nothing") {
    same([] {
        std::string text;
        for (const char *path : {"directory", "file"}) {
            text += result(::chmod(path, 0711));
            text += " " + result(::setxattr(path, "trusted.overlay.opaque", "y", 1, XATTR_CREATE));
            text += " " + result(::setxattr(path, "trusted.overlay.opaque", "y", 1, XATTR_CREATE));
            text += " " + result(::setxattr(path, "trusted.overlay.redirect", "/many", 5, 0));
            text += " " + result(::setxattr(path, "trusted.overlay.overlay.x", "twice", 5, 0));
            text += " " + attribute(path, "trusted.overlay.opaque") + " " + attribute(path, "trusted.overlay.overlay.x");
            text += " " + attribute(path, "trusted.overlay.unionfs.ino");
            text += " " + result(::removexattr(path, "trusted.overlay.overlay.x"));
            text += " " + result(::removexattr(path, "trusted.overlay.overlay.x")) + "\n";
        }
        return text + result(::access("directory/a", F_OK)) + result(::access("directory/name-1", F_OK));
    });
}

TEST_CASE("a program that runs can't be written, and is replaced under whoever runs it") {
    same([] {
        namespace fs = std::filesystem;
        fs::copy_file("/bin/sleep", "program");
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) < 0) return result(-1);
        const Fd read_end(ends[0]);
        Fd write_end(ends[1]);
        const pid_t child = ::fork();
        if (child == 0) {
            ::execl("program", "program", "60", nullptr);
            ::_exit(99);
        }
        write_end.reset();
        char byte = 0;
        std::string text = result(::read(read_end.get(), &byte, 1));  // closed: the program runs
        text += " " + result(::open("program", O_WRONLY | O_CLOEXEC));
        text += " " + result(::truncate("program", 0));
        fs::copy_file("/bin/false", "new");
        text += " " + result(::rename("new", "program"));
        const pid_t second = ::fork();
        if (second == 0) {
            ::execl("program", "program", nullptr);
            ::_exit(99);
        }
        int status = 0;
        ::waitpid(second, &status, 0);
        text += std::format(" new one {}", WEXITSTATUS(status));
        text += std::format(" old one {}", ::waitpid(child, &status, WNOHANG) == 0 ? "runs" : "ended");
        ::kill(child, SIGTERM);
        ::waitpid(child, &status, 0);
        return text + std::format(" by signal {}", WTERMSIG(status));
    });
}

TEST_CASE("times are set to now, and left as they are") {
    same([] {
        const timespec first[2] = {{1000, 1}, {2000, 2}}, only_access[2] = {{3000, 3}, {0, UTIME_OMIT}};
        const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
        struct stat status{};
        std::string text = result(::utimensat(AT_FDCWD, "file", first, 0));
        text += " " + result(::utimensat(AT_FDCWD, "file", only_access, 0));
        ::stat("file", &status);
        text += std::format(" {}.{} {}.{}", status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec,
                            status.st_mtim.tv_nsec);
        text += " " + result(::utimensat(AT_FDCWD, "symlink", first, AT_SYMLINK_NOFOLLOW));
        ::lstat("symlink", &status);
        text += std::format(" {}.{}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        text += " " + result(::utimensat(AT_FDCWD, "file", now, 0));
        ::stat("file", &status);
        return text + (status.st_atim.tv_sec > 1'000'000'000 ? " now" : " long ago") +
               std::format(" {}.{}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    });
}

TEST_CASE("flags of chattr are seen and set, on files and directories, before a copy-up and after") {
    const auto flags_of = [](const char *path) {
        const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
        unsigned flags = 0;
        const std::string text = result(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags));
        // ext4's own flags for how it stores the file: extents, and an index of a directory's names.
        return std::format("{}:{:x}", text, flags & ~(FS_EXTENT_FL | FS_INDEX_FL | FS_INLINE_DATA_FL));
    };
    same([&] {
        std::string text;
        for (const char *path : {"file", "directory", "empty"}) {
            unsigned flags = 0;
            text += flags_of(path);
            const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
            (void)::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags);
            flags |= FS_NODUMP_FL;  // keeps the others: without FS_EXTENT_FL an ext4 would have to convert the file
            text += " " + result(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags)) + " " + flags_of(path);
            fsxattr extended{};
            text += " " + result(::ioctl(fd.get(), FS_IOC_FSGETXATTR, &extended));
            text += std::format(" {:x}", extended.fsx_xflags);
            extended.fsx_xflags = FS_XFLAG_NOATIME;
            text += " " + result(::ioctl(fd.get(), FS_IOC_FSSETXATTR, &extended)) + " " + flags_of(path) + "\n";
        }
        return text + as_user_1000([] {
                   const Fd fd(::open("file", O_RDONLY | O_CLOEXEC));
                   unsigned flags = 0;
                   return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);  // not the owner
               });
    });
}

TEST_CASE("a change of flags shows in ctime, also of what has been in the upper and was looked at") {
    same([] {
        std::string text;
        for (const char *path : {"file", "directory"}) {
            const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
            for (const unsigned added : {FS_NODUMP_FL, FS_NOATIME_FL}) {
                struct stat before{}, after{};
                ::stat(path, &before);
                ::usleep(20000);     // more than a tick of a coarse clock
                unsigned flags = 0;  // like chattr, leaves an ext4's own flags alone; overlayfs refuses to clear them
                text += result(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags)) + " ";
                flags |= added;
                text += result(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags));
                ::stat(path, &after);
                const bool later = std::pair(after.st_ctim.tv_sec, after.st_ctim.tv_nsec) >
                                   std::pair(before.st_ctim.tv_sec, before.st_ctim.tv_nsec);
                text += later ? " later " : " as before ";
            }
        }
        return text;
    });
}

TEST_CASE("names of the class trusted are listed for who has CAP_SYS_ADMIN, before a copy-up and after") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted ours("store");
    const std::filesystem::path below = ours.lower() / "file", file = ours.root() / "file";
    CHECK(Fd(::open(below.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
    CHECK(::setxattr(below.c_str(), "user.seen", "value", 5, 0) == 0);
    CHECK(::setxattr(below.c_str(), "trusted.secret", "value", 5, 0) == 0);
    ours.mount();
    const auto list = [&] { return ::listxattr(file.c_str(), nullptr, 0); };
    const auto few = [&] { return list() == sizeof "user.seen" ? 0 : -1; };
    for (const bool copied : {false, true}) {
        CAPTURE(copied);
        if (copied) CHECK(::chmod(file.c_str(), 0664) == 0);
        CHECK(list() == sizeof "user.seen" + sizeof "trusted.secret");
        errno = 0;
        CHECK(as_user_1000(few) == "0");
    }
    CHECK(ours.unmount() == 0);
}

TEST_CASE("RENAME_WHITEOUT is refused as by overlayfs, of a lower file as of an upper one, and nothing moves") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted ours("store");
    const auto write = [](const std::filesystem::path &path) {
        CHECK(Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
    };
    write(ours.lower() / "below");
    ours.mount();
    write(ours.root() / "above");
    for (const char *name : {"below", "above"}) {
        CAPTURE(name);
        const std::filesystem::path from = ours.root() / name, to = ours.root() / (std::string(name) + "-moved");
        CHECK(::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_WHITEOUT) == -1);
        CHECK(errno == EINVAL);
        CHECK(::access(from.c_str(), F_OK) == 0);
        CHECK(::access(to.c_str(), F_OK) != 0);
    }
    CHECK(ours.unmount() == 0);
}

TEST_CASE("statfs tells the upper's room") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted ours("store", 64 << 20);
    ours.mount();
    struct statvfs shown{}, upper{};
    REQUIRE(::statvfs(ours.root().c_str(), &shown) == 0);
    REQUIRE(::statvfs(ours.upper().c_str(), &upper) == 0);
    CHECK(shown.f_blocks * shown.f_frsize == upper.f_blocks * upper.f_frsize);
    CHECK(shown.f_bavail * shown.f_frsize == upper.f_bavail * upper.f_frsize);
    CHECK(shown.f_files == upper.f_files);
    CHECK(shown.f_ffree == upper.f_ffree);
    CHECK(shown.f_namemax == upper.f_namemax);
    CHECK(ours.unmount() == 0);
}
