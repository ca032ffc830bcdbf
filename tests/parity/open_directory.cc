// A directory that somebody stands in while its name goes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::result;
using parity::same;

TEST_CASE("a directory that is replaced or removed while it is open is an empty one without a name") {
    // overlayfs shows link counts of 1 and 2 here: only the plain directory is the judge.
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
