// The option stale_readers: it affects only those who have a lower file open when it is first changed.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::Mounted;

namespace {

namespace fs = std::filesystem;

std::string content(int fd) {
    std::array<char, 64> bytes{};
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
    return n < 0 ? "-" + std::to_string(errno) : std::string(bytes.data(), static_cast<size_t>(n));
}

std::string content(const fs::path &path) { return content(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)).get()); }

ino_t number(int fd) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

bool write_at_start(const fs::path &path, std::string_view text) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return ::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

}  // namespace

TEST_CASE("with stale_readers an old descriptor reads on what it read, and every later one what was written") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("throughput");
    std::ofstream(m.lower() / "file") << "lower";
    fs::create_hard_link(m.lower() / "file", m.lower() / "other");
    m.mount("stale_readers");
    const fs::path file = m.root() / "file", other = m.root() / "other";
    const Fd old(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const Fd by_other_name(::open(other.c_str(), O_RDONLY | O_CLOEXEC));
    const ino_t shown = number(old.get());
    REQUIRE(write_at_start(file, "UPPER"));
    CHECK(content(old.get()) == "lower");
    CHECK(content(by_other_name.get()) == "lower");
    for (const uintmax_t size : {100U, 5U}) {
        fs::resize_file(file, size);
        CHECK(fs::file_size(other) == size);
    }
    CHECK(content(file) == "UPPER");
    CHECK(content(other) == "UPPER");
    REQUIRE(write_at_start(other, "both!"));
    const Fd both(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    CHECK(content(both.get()) == "both!");
    CHECK(number(both.get()) == shown);
    CHECK(::fchmod(old.get(), 0600) == 0);
    CHECK(fs::status(m.upper() / "file").permissions() == fs::perms(0600));
    CHECK(::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(old.get())).c_str(), AT_FDCWD, (m.root() / "third").c_str(),
                   AT_SYMLINK_FOLLOW) == -1);
    CHECK(errno == ESTALE);
}

TEST_CASE("with stale_readers truncation, rename and removal of a file that is read are seen by name at once") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("throughput");
    for (const char *name : {"cut", "moved", "gone"}) std::ofstream(m.lower() / name) << "lower";
    m.mount("stale_readers");
    std::vector<Fd> readers;
    for (const char *name : {"cut", "moved", "gone"})
        readers.emplace_back(::open((m.root() / name).c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(::truncate((m.root() / "cut").c_str(), 3) == 0);
    REQUIRE(::rename((m.root() / "moved").c_str(), (m.root() / "there").c_str()) == 0);
    REQUIRE(::unlink((m.root() / "gone").c_str()) == 0);
    CHECK(content(m.root() / "cut") == "low");
    REQUIRE(write_at_start(m.root() / "there", "UPPER"));
    CHECK(content(m.root() / "there") == "UPPER");
    std::ofstream(m.root() / "gone") << "new";
    CHECK(content(m.root() / "gone") == "new");
    for (const Fd &reader : readers) CHECK(content(reader.get()) == "lower");
}

TEST_CASE("with stale_readers a new worker knows which readers were left with the lower's file") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("throughput");
    for (const char *name : {"before", "after"}) std::ofstream(m.lower() / name) << "lower";
    m.mount("stale_readers");
    const Fd before(::open((m.root() / "before").c_str(), O_RDONLY | O_CLOEXEC));
    const Fd after(::open((m.root() / "after").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(write_at_start(m.root() / "before", "UPPER"));
    ::kill(m.worker(), SIGKILL);
    REQUIRE(write_at_start(m.root() / "after", "UPPER"));
    REQUIRE(write_at_start(m.root() / "before", "AGAIN"));
    CHECK(content(m.root() / "before") == "AGAIN");
    CHECK(content(m.root() / "after") == "UPPER");
    CHECK(content(before.get()) == "lower");
    CHECK(content(after.get()) == "lower");
}
