// A daemon that can't allocate memory, and one that can't open the file that it just created.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <format>
#include <fstream>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/support/caches.h"

using parity::Mounted;
namespace fs = std::filesystem;

namespace {

void limit_addresses(pid_t pid, rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    REQUIRE(::prlimit(pid, RLIMIT_AS, &limit, nullptr) == 0);
}

// The number of names, or a negative errno.
long count_names(const fs::path &directory) {
    DIR *entries = ::opendir(directory.c_str());
    if (entries == nullptr) return -errno;
    long count = 0;
    errno = 0;
    while (::readdir(entries) != nullptr) ++count;
    const int error = errno;
    ::closedir(entries);
    return error != 0 ? -error : count;
}

bool holds_open(pid_t pid, const std::string &what) {
    for (const auto &entry : fs::directory_iterator(std::format("/proc/{}/fd", pid))) {
        std::error_code gone;
        if (fs::read_symlink(entry, gone).string().contains(what)) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a request for which the daemon gets no memory fails with ENOMEM, and the daemon lives on") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted m(mode);
    constexpr long files = 40000;
    fs::create_directory(m.lower() / "large");
    for (long i = 0; i < files; ++i)
        ::mknod((m.lower() / "large" / std::format("a-name-of-some-length-{}", i)).c_str(), S_IFREG | 0644, 0);
    m.mount();
    const pid_t worker = m.worker();
    limit_addresses(worker, 1 << 20);
    CHECK(count_names(m.root() / "large") == -ENOMEM);
    CHECK(::mkdir((m.root() / "made").c_str(), 0755) == 0);  // small requests still work
    limit_addresses(worker, RLIM_INFINITY);
    CHECK(count_names(m.root() / "large") == files + 2);
    CHECK(m.worker() == worker);
    CHECK(m.log().find("worker") == std::string::npos);
    CHECK(m.unmount() == 0);
}

TEST_CASE("a file that create finds and cannot open is not remembered") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("throughput");
    m.mount();
    struct stat status{};
    REQUIRE(::stat((m.root() / "file").c_str(), &status) < 0);  // the kernel caches the absence, so that it sends CREATE
    std::ofstream(m.upper() / "file") << "x";
    // overlayfs's metacopy=on: the data is in another layer.
    REQUIRE(::setxattr((m.upper() / "file").c_str(), "trusted.overlay.metacopy", "", 0, 0) == 0);
    const int fd = ::open((m.root() / "file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    CHECK(fd == -1);
    CHECK(errno == EIO);
    // A file that the union does not remember goes away with its name.
    support::drop_caches();  // drops the kernel's cached absence
    REQUIRE(::unlink((m.root() / "file").c_str()) == 0);
    bool held = true;
    for (int i = 0; i < 100 && held; ++i) {
        held = holds_open(m.worker(), "file (deleted)");
        if (held) ::usleep(50000);
    }
    CHECK_FALSE(held);
    CHECK(m.unmount() == 0);
}
