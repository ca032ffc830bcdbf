// Limits that must hold: disk space, descriptors, memory, the time that other clients wait.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"
#include "tests/support/disk.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

size_t descriptors(pid_t pid) {
    size_t count = 0;
    for (const auto &entry : fs::directory_iterator(std::format("/proc/{}/fd", pid))) count += entry.path().empty() ? 0 : 1;
    return count;
}

size_t resident_kib(pid_t pid) {
    std::ifstream status(std::format("/proc/{}/status", pid));
    for (std::string word; status >> word;)
        if (size_t kib = 0; word == "VmRSS:" && status >> kib) return kib;
    return 0;
}

// Uses up the remaining space.
void fill(const fs::path &path) {
    const base::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::string block(4096, 'f');
    for (size_t size = block.size(); size > 0; size /= 2)
        while (::write(fd.get(), block.data(), size) > 0) continue;
    REQUIRE(errno == ENOSPC);
}

}  // namespace

TEST_CASE("a full upper gives ENOSPC at the write, keeps the tree whole, and goes on when there is room again") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const char *mode : {"store", "throughput"}) {
        INFO("mode=" << mode);
        Mounted m(mode, 4 << 20);
        std::ofstream(m.lower() / "large") << std::string(3 << 20, 'l');
        m.mount();
        const std::string ballast(2 << 20, 'b');
        base::Fd fd(::open((m.root() / "ballast").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        REQUIRE(::write(fd.get(), ballast.data(), ballast.size()) == static_cast<ssize_t>(ballast.size()));
        fd.reset(::open((m.root() / "large").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        const ssize_t wrote = fd ? ::write(fd.get(), "more", 4) : -1;
        CHECK(wrote < 0);
        CHECK(errno == ENOSPC);
        fd.reset();
        CHECK(fs::file_size(m.root() / "large") == 3 << 20);
        CHECK_FALSE(fs::exists(m.upper() / "large"));
        for (const auto &entry : fs::directory_iterator(m.work() / "work")) CHECK(entry.path().filename() == "whiteout");
        REQUIRE(::unlink((m.root() / "ballast").c_str()) == 0);
        // The kernel tells the union of a close, and releases a passed-through file, only after close(2) has returned.
        for (int tries = 0; tries < 50 && ::write(fd.get(), "more", 4) != 4; ++tries) {
            ::poll(nullptr, 0, 100);
            fd.reset(::open((m.root() / "large").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        }
        CHECK(fs::file_size(m.root() / "large") == (3 << 20) + 4);
    }
}

TEST_CASE("an upper without any room left can be mounted, and what is removed makes room") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted m(mode, 4 << 20, "ext4");  // a directory needs a block there; a tmpfs always has room for names
    std::ofstream(m.lower() / "of-the-lower") << "lower";
    m.mount();
    fill(m.root() / "ballast");
    REQUIRE(m.unmount() == 0);
    m.mount();
    CHECK(m.log() == "");
    REQUIRE(::unlink((m.root() / "of-the-lower").c_str()) == 0);
    REQUIRE(::unlink((m.root() / "ballast").c_str()) == 0);
    // Its space becomes free when the kernel has told the union to forget it.
    for (int tries = 0; tries < 50 && ::mkdir((m.root() / "directory").c_str(), 0755) != 0; ++tries) ::poll(nullptr, 0, 100);
    CHECK(fs::is_directory(m.upper() / "directory"));
    CHECK(m.unmount() == 0);
}

TEST_CASE("what fails for want of room shows the times that it left on the disk") {
    if (std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const std::string kind = GENERATE("tmpfs", "ext4");
    CAPTURE(mode, kind);
    Mounted m(mode, 4 << 20, kind);
    const std::string data(100000, 'd');
    m.mount();
    std::ofstream(m.root() / "data") << data;
    for (const char *name : {"copied", "made-room", "written"}) std::ofstream(m.root() / name) << "";
    fill(m.root() / "ballast");
    const auto changed = [&](const char *name) {
        struct stat seen{}, on_disk{};
        REQUIRE(::stat((m.root() / name).c_str(), &seen) == 0);
        REQUIRE(::stat((m.upper() / name).c_str(), &on_disk) == 0);
        CHECK(seen.st_mtim.tv_nsec == on_disk.st_mtim.tv_nsec);
        CHECK(seen.st_ctim.tv_nsec == on_disk.st_ctim.tv_nsec);
    };
    const auto fails = [&](const char *name, const std::function<ssize_t(int)> &operation) {
        INFO(name);
        changed(name);
        ::usleep(10000);  // one tick of the clock that sets the timestamps
        const base::Fd fd(::open((m.root() / name).c_str(), O_WRONLY | O_CLOEXEC));
        const ssize_t result = operation(fd.get());
        CHECK(result == -1);
        CHECK(errno == ENOSPC);
        changed(name);
    };
    const base::Fd from(::open((m.root() / "data").c_str(), O_RDONLY | O_CLOEXEC));
    fails("copied", [&](int fd) { return ::copy_file_range(from.get(), nullptr, fd, nullptr, data.size(), 0); });
    fails("made-room", [&](int fd) { return ::fallocate(fd, 0, 0, static_cast<off_t>(data.size())); });
    fails("written", [&](int fd) { return ::write(fd, data.data(), data.size()); });
}

TEST_CASE("max_files bounds the descriptors, and what is forgotten gives its memory back") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("store");
    constexpr int directories = 100, files = 1000;
    for (int i = 0; i < directories; ++i) {
        const fs::path directory = m.lower() / std::format("directory-{}", i);
        fs::create_directory(directory);
        const base::Fd dir(::open(directory.c_str(), O_PATH | O_CLOEXEC));
        for (int j = 0; j < files; ++j) ::mknodat(dir.get(), std::format("a-file-of-the-store-{}", j).c_str(), S_IFREG | 0644, 0);
    }
    m.mount("max_files=100");
    const size_t before = resident_kib(m.worker());
    size_t seen = 0;
    for (const auto &entry : fs::recursive_directory_iterator(m.root())) {
        seen += 1;
        if (entry.is_directory()) continue;
        if (seen % 50 == 0) ::close(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
        struct stat status{};
        ::lstat(entry.path().c_str(), &status);
    }
    CHECK(seen == directories * files + directories);
    CHECK(descriptors(m.worker()) < 100 + 64 + 16);  // the cache, threads, layers
    const size_t full = resident_kib(m.worker());
    support::drop_caches();
    for (int i = 0; i < 100 && resident_kib(m.worker()) > before + (full - before) / 2; ++i) ::usleep(50000);
    WARN("resident KiB: " << before << ", with 100,100 inodes " << full << ", forgotten " << resident_kib(m.worker()));
    CHECK(resident_kib(m.worker()) < before + (full - before) / 2);
}

TEST_CASE("telldir and seekdir hold while names come and go") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("store");
    for (int i = 0; i < 3000; ++i) std::ofstream(m.lower() / std::format("lower-{}", i));
    m.mount();
    DIR *directory = ::opendir(m.root().c_str());
    REQUIRE(directory != nullptr);
    std::vector<std::pair<long, std::string>> places;
    for (int i = 0; i < 1500; ++i) {
        const long at = ::telldir(directory);
        const dirent *entry = ::readdir(directory);
        REQUIRE(entry != nullptr);
        places.emplace_back(at, entry->d_name);
    }
    std::set<std::string> gone;
    for (size_t i = 0; i < places.size(); i += 7) {
        if (places[i].second.starts_with('.')) continue;
        REQUIRE(::unlink((m.root() / places[i].second).c_str()) == 0);
        gone.insert(places[i].second);
    }
    for (int i = 0; i < 500; ++i) std::ofstream(m.root() / std::format("new-{}", i));
    // From any position, every entry that was there and still exists comes exactly once.
    ::seekdir(directory, places[700].first);
    std::multiset<std::string> rest;
    while (const dirent *entry = ::readdir(directory)) rest.insert(entry->d_name);
    // A name that was removed may still appear (readdir(3p)), but none appears twice.
    for (size_t i = 700; i < places.size(); ++i) {
        const size_t times = rest.count(places[i].second);
        CHECK((times == 1 || (times == 0 && gone.contains(places[i].second))));
    }
    for (size_t i = 0; i < 700; ++i) CHECK(rest.count(places[i].second) == 0);
    ::closedir(directory);
}

TEST_CASE("others don't wait for the copy-up of a large file") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("store");
    {
        const base::Fd large(::open((m.lower() / "large").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
        const std::string block(16 << 20, 'x');
        for (int i = 0; i < 16; ++i) REQUIRE(::write(large.get(), block.data(), block.size()) > 0);
    }
    std::ofstream(m.lower() / "small") << "small";
    m.mount();
    std::atomic<bool> copied = false;
    unsigned during = 0;
    std::thread writer([&] {
        const base::Fd fd(::open((m.root() / "large").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        (void)!::write(fd.get(), "x", 1);
        copied = true;
    });
    // Each is a request that no cache answers.
    for (unsigned i = 0; !copied; ++i) {
        REQUIRE(::mkdir((m.root() / std::format("directory-{}", i)).c_str(), 0755) == 0);
        if (!copied) ++during;
    }
    writer.join();
    CHECK(during >= 3);
    CHECK(fs::file_size(m.root() / "large") == (256U << 20) + 1);
}

TEST_CASE("flock and POSIX locks keep processes apart, over copy-up too") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const char *mode : {"store", "throughput"}) {
        Mounted m(mode);
        std::ofstream(m.lower() / "file") << "lower";
        m.mount();
        const std::string path = m.root() / "file";
        const base::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(::flock(fd.get(), LOCK_EX) == 0);
        struct flock range{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10, .l_pid = 0};
        REQUIRE(::fcntl(fd.get(), F_SETLK, &range) == 0);
        REQUIRE(::write(fd.get(), "x", 1) == 1);
        const pid_t child = ::fork();
        if (child == 0) {
            const int other = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
            struct flock same{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1, .l_pid = 0};
            struct flock beside{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 1, .l_pid = 0};
            const bool apart = ::flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
                               ::fcntl(other, F_SETLK, &same) < 0 && ::fcntl(other, F_SETLK, &beside) == 0;
            ::_exit(apart ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
    }
}

TEST_CASE("a copy-up that is under way brings no name back that is removed or replaced") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("throughput");  // where opening copies up and the kernel holds nothing during it
    constexpr int files = 200;
    for (int i = 0; i < files; ++i) std::ofstream(m.lower() / std::format("file-{}", i)) << std::string(300000, 'l');
    m.mount();
    for (int i = 0; i < files; ++i) {
        const std::string path = m.root() / std::format("file-{}", i);
        std::ofstream(m.root() / "fresh") << "fresh";
        std::thread writer([&] { const base::Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC)); });
        ::usleep(static_cast<unsigned>(i) * 2);
        const int gone = i % 2 == 0 ? ::unlink(path.c_str()) : ::rename((m.root() / "fresh").c_str(), path.c_str());
        writer.join();
        REQUIRE(gone == 0);
        if (i % 2 == 0)
            CHECK_FALSE(fs::is_regular_file(m.upper() / std::format("file-{}", i)));
        else
            CHECK(fs::file_size(m.upper() / std::format("file-{}", i)) == 5);
    }
}

TEST_CASE("a name longer than any file system takes is refused, hidden or not, and harms no later worker") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    std::ofstream(stack.lower() / "file") << "lower";
    stack.mount("hide_meta_files");
    const auto refuses = [](int outcome) { return outcome < 0 && errno == ENAMETOOLONG; };
    for (int i = 0; i < 600; ++i) {  // more than the journal has entries
        const fs::path name = stack.root() / (".unionfs" + std::string(900, 'n'));
        struct stat status{};
        REQUIRE(refuses(::stat(name.c_str(), &status)));
        REQUIRE(refuses(::mkdir(name.c_str(), 0700)));
        REQUIRE(refuses(::rename((stack.root() / "file").c_str(), name.c_str())));
    }
    ::kill(stack.worker(), SIGKILL);
    CHECK(::mkdir((stack.root() / "directory").c_str(), 0700) == 0);
    CHECK(stack.unmount() == 0);
}

namespace {

// Names whose FNV-1a hashes are equal. A block's bytes are those that the hash's lowest byte has been changed to at each step.
// The hash is then a sum over the steps, and both blocks have the same sum.
std::string colliding_name(unsigned number) {
    constexpr std::array<std::array<uint8_t, 16>, 2> blocks{
        {{35, 146, 217, 206, 196, 17, 66, 31, 127, 195, 116, 121, 167, 98, 202, 54},
         {1, 183, 89, 231, 142, 252, 225, 23, 85, 71, 197, 133, 7, 151, 45, 49}}};
    std::string name;
    uint8_t lowest = 0x25;
    for (int i = 0; i < 15; ++i, number >>= 1)
        for (const uint8_t wanted : blocks[number & 1]) {
            name += static_cast<char>(lowest ^ wanted);
            lowest = static_cast<uint8_t>(wanted * 0xB3);
        }
    return name;
}

}  // namespace

TEST_CASE("a directory whose names are made to have one hash is listed as quickly as any other") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted m("store");
    constexpr unsigned names = 1 << 14;  // the last block is the same in all
    const auto seconds_to_list = [&](const char *directory, const std::function<std::string(unsigned)> &name) {
        fs::create_directory(m.lower() / directory);
        const base::Fd dir(::open((m.lower() / directory).c_str(), O_PATH | O_CLOEXEC));
        for (unsigned i = 0; i < names; ++i) REQUIRE(::mknodat(dir.get(), name(i).c_str(), S_IFREG | 0644, 0) == 0);
        double least = 1e9;  // the machine may be busy with something else at times
        for (int i = 0; i < 3; ++i) {
            support::drop_caches();
            const auto start = std::chrono::steady_clock::now();
            CHECK(std::distance(fs::directory_iterator(m.root() / directory), {}) == names);
            least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        }
        return least;
    };
    m.mount();
    const double usual = seconds_to_list("usual", [](unsigned i) { return std::format("{:240}", i); });
    const double colliding = seconds_to_list("colliding", colliding_name);
    CAPTURE(usual, colliding);
    CHECK(colliding < 4 * usual);
    CHECK(m.unmount() == 0);
}
