// A directory that a process has open, or as its working directory, when its name is removed.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdio>
#include <format>
#include <functional>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::result;
using parity::same;

TEST_CASE("a directory that is replaced or removed while it is open is an empty one without a name") {
    // overlayfs shows link counts of 1 and 2 here, so the reference is the plain directory.
    same(
        [] {
            std::string text;
            struct stat status{};
            (void)::mkdir("made", 0755);
            (void)::mkdir("made/one", 0755);
            (void)::mkdir("made/two", 0755);
            (void)::unlink("directory/inner/b");
            const auto removed = [&](const char *path, const std::function<int()> &deed) {
                const Fd fd(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                text += result(deed()) + " " + result(::fstat(fd.get(), &status)) + " " + std::to_string(status.st_nlink) + " ";
                DIR *entries = ::fdopendir(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                text += result(entries == nullptr ? -1 : 0) + " ";
                while (entries != nullptr && ::readdir(entries) != nullptr) text += "entry ";
                if (entries != nullptr) ::closedir(entries);
                text += result(::openat(fd.get(), "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)) + ", ";
            };
            removed("made/two", [] { return ::rename("made/one", "made/two"); });
            removed("made/two", [] { return ::rmdir("made/two"); });
            removed("directory/inner", [] { return ::rename("made", "directory/inner"); });
            return text;
        },
        false);
}

TEST_CASE("a descriptor of what is removed from a lower takes every change, as on a plain file system") {
    // overlayfs can't copy up a directory without a name, so the reference is the plain directory.
    const bool through_upper = GENERATE(false, true);  // true: copied up before
    CAPTURE(through_upper);
    same(
        [&] {
            std::string text;
            const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}};
            for (const char *path : {"file", "empty"}) {
                const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
                struct stat status{};
                if (through_upper) (void)::fchmod(fd.get(), 0711);
                text += result(::fstat(fd.get(), &status)) + " ";
                text += result(S_ISDIR(status.st_mode) ? ::rmdir(path) : ::unlink(path)) + " ";
                text += result(::fchmod(fd.get(), 0705)) + " " + result(::fchown(fd.get(), 5, 6)) + " ";
                text += result(::futimens(fd.get(), times)) + " " + result(::fsetxattr(fd.get(), "user.late", "x", 1, 0)) + " ";
                text += result(::fgetxattr(fd.get(), "user.late", nullptr, 0)) + " " + result(::fstat(fd.get(), &status)) + " ";
                text += std::format("{:o} {} {} {} {} {}, ", status.st_mode, status.st_uid, status.st_gid, status.st_atim.tv_sec,
                                    status.st_mtim.tv_sec, status.st_nlink);
            }
            return text;
        },
        false);
}
