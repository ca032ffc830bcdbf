// The situation of a daemon of stage 1: switch_root moves /proc away from the daemon's root.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <format>
#include <fstream>
#include <string>
#include <string_view>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"

using parity::Mounted;
namespace fs = std::filesystem;

namespace {

int run(const std::string &options, const fs::path &at) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(parity::program().c_str(), "unionfs", "-o", options.c_str(), at.c_str(), nullptr);
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

// What only root may do: keep set-ID bits, and see trusted attributes.
std::string seen_by_root(const fs::path &root) {
    const std::string path = root / "file";
    const base::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat status{};
    char names[1024];
    std::string text = std::to_string(::fallocate(fd.get(), 0, 0, 8192));
    ::stat(path.c_str(), &status);
    text += std::format(" {:o}", status.st_mode);
    text += std::to_string(::setxattr(path.c_str(), "trusted.seen", "1", 1, 0));
    const ssize_t n = ::listxattr(path.c_str(), names, sizeof names);
    return text + (n > 0 && std::string_view(names, static_cast<size_t>(n)).contains("trusted.seen") ? " seen" : " hidden");
}

}  // namespace

TEST_CASE("root keeps its rights in a union whose daemon has lost sight of /proc") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted m(mode);
    const fs::path plain = m.base() / "disk/plain";
    for (const fs::path &directory : {m.lower(), plain}) {
        fs::create_directories(directory);
        std::ofstream(directory / "file") << "x";
        REQUIRE(::chmod((directory / "file").c_str(), 06777) == 0);
    }
    fs::create_directory(m.base() / "proc");
    const pid_t child = ::fork();
    if (child == 0) {
        if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) ::_exit(10);
        if (run(std::format("allow_other,mode={},{}", mode, m.layers()), m.root()) != 0) ::_exit(11);
        if (::mount("/proc", (m.base() / "proc").c_str(), nullptr, MS_MOVE, nullptr) < 0) ::_exit(12);
        const bool same = seen_by_root(m.root()) == seen_by_root(plain);
        ::umount2(m.root().c_str(), 0);
        ::_exit(same ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WEXITSTATUS(status) == 0);
}
