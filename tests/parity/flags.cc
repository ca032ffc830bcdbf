// What chattr(1) forbids stays forbidden through the union, in this mount and the next.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>
#include <vector>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

using base::Fd;
using parity::Mounted;
using parity::result;

namespace {

namespace fs = std::filesystem;

int set_flag(const char *path, int flag, bool on) {
    const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    int flags = 0;
    if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) < 0) return -1;
    flags = on ? flags | flag : flags & ~flag;
    return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
}

// The errno of open or write: in store mode the kernel opens the file without asking.
std::string written(const char *path, int flags, const std::function<ssize_t(int)> &deed) {
    const Fd fd(::open(path, O_WRONLY | O_CLOEXEC | flags));
    if (!fd || deed(fd.get()) < 0) return std::to_string(-errno);
    return "done";
}

std::string content(const char *path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), {}};
}

// The result of each operation, and the resulting state.
std::string try_all(const char *path) {
    const auto text = [](int fd) { return ::write(fd, "text", 4); };
    const auto copy = [](int fd) {
        const Fd from(::open("other", O_RDONLY | O_CLOEXEC));
        return ::copy_file_range(from.get(), nullptr, fd, nullptr, 3, 0);
    };
    std::string said = "overwrite " + written(path, 0, text) + ", append " + written(path, O_APPEND, text);
    said += ", O_TRUNC " + written(path, O_TRUNC, text) + ", copy " + written(path, 0, copy);
    said += ", fallocate " +
            written(path, 0, [](int fd) { return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096); });
    said += ", truncate " + result(::truncate(path, 1)) + ", chmod " + result(::chmod(path, 0600));
    said += ", chown " + result(::chown(path, 1, 1)) + ", unlink " + result(::unlink(path));
    said += ", rename " + result(::rename(path, "renamed")) + ", over " + result(::rename("other", path));
    said += ", link " + result(::link(path, "linked"));
    return said + ": " + content(path) + "\n";
}

}  // namespace

TEST_CASE("an append-only file is only appended to, and an immutable one isn't changed, in later mounts either") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const std::string kind = GENERATE("tmpfs", "ext4");
    const int flag = GENERATE(FS_APPEND_FL, FS_IMMUTABLE_FL);
    CAPTURE(mode, kind, flag);
    Mounted stack(mode, 0, kind);
    const fs::path plain = stack.base() / "disk/plain";  // the upper's file system
    fs::create_directory(plain);
    for (const fs::path &place : {stack.lower(), plain})
        for (const char *name : {"lower", "other"}) std::ofstream(place / name) << name;
    stack.mount();
    std::vector<std::string> said;
    for (const fs::path &place : {plain, stack.root()}) {
        const parity::WorkingDirectory here(place);
        std::ofstream("made") << "made";  // the daemon then has it open for writing
        std::string text;
        for (const char *path : {"made", "lower"}) {
            text += "set " + result(set_flag(path, flag, true)) + ", ";
            if (text == "set -25, " && place == plain) SKIP(kind + " has no such flags here");
            text += try_all(path);
        }
        said.push_back(text);
    }
    CHECK(said[0] == said[1]);
    REQUIRE(stack.unmount() == 0);
    stack.mount();
    said.clear();
    for (const fs::path &place : {stack.root(), plain}) {
        const parity::WorkingDirectory here(place);
        std::string text;
        for (const char *path : {"made", "lower"}) {
            text += try_all(path);
            text += "free " + result(set_flag(path, flag, false)) + ", " + try_all(path);
            std::ofstream("other") << "other";
        }
        said.push_back(text);
    }
    CHECK_THAT(said[1], Catch::Matchers::ContainsSubstring("free 0, overwrite done"));
    CHECK(said[0] == said[1]);
    CHECK(stack.unmount() == 0);
}
