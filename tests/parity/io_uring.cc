// Requests over io_uring: that they use it, refusals, the largest ones, many in parallel, and how such a mount ends.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>

#include "mounts/base/fd.h"
#include "tests/parity/load.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/rings.h"

using Catch::Matchers::ContainsSubstring;
using parity::Mounted;

namespace {

namespace fs = std::filesystem;

constexpr const char *ring_mode = "store,io_uring=on";

std::string absent() {
    const std::string reason = parity::missing();
    return reason.empty() ? support::missing_io_uring() : reason;
}

std::vector<pid_t> start(int count, const std::function<int(int)> &work) {
    std::vector<pid_t> pids;
    for (int i = 0; i < count; ++i) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(work(i));
        pids.push_back(child);
    }
    return pids;
}

// All wait statuses other than 0; -1 for a process that has not ended after `seconds`.
std::vector<int> failures(const std::vector<pid_t> &pids, int seconds) {
    std::vector<int> statuses;
    int left_ms = seconds * 1000;
    for (const pid_t pid : pids) {
        int status = 0;
        pid_t ended = ::waitpid(pid, &status, WNOHANG);
        for (; ended == 0 && left_ms > 0; left_ms -= 10, ended = ::waitpid(pid, &status, WNOHANG)) ::usleep(10000);
        if (ended != pid) ::kill(pid, SIGKILL);
        if (ended != pid || status != 0) statuses.push_back(ended == pid ? status : -1);
    }
    return statuses;
}

int read_whole(const fs::path &path) {
    char bytes[4096];
    const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return errno;
    ssize_t n = 0;
    do n = ::read(fd.get(), bytes, sizeof bytes);
    while (n > 0);
    return n < 0 ? errno : 0;
}

}  // namespace

TEST_CASE("io_uring=on says what it costs, and the worker has a ring for each processor") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    Mounted stack(ring_mode);
    stack.mount();
    CHECK_THAT(stack.log(), ContainsSubstring("unionfs: io_uring=on: if the daemon crashes, the mount is lost, because the "
                                              "kernel doesn't resend io_uring requests\n"));
    long rings = 0;
    for (const auto &fd : fs::directory_iterator("/proc/" + std::to_string(stack.worker()) + "/fd")) {
        std::error_code gone;
        if (fs::read_symlink(fd.path(), gone) == "anon_inode:[io_uring]") ++rings;
    }
    CHECK(rings >= ::sysconf(_SC_NPROCESSORS_CONF));
    CHECK(stack.unmount() == 0);
}

TEST_CASE("io_uring=on where the kernel has none says so, and the mount works through /dev/fuse") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    Mounted stack(ring_mode);
    stack.mount({}, false);
    CHECK_THAT(stack.log(), ContainsSubstring("unionfs: io_uring=on: this kernel doesn't offer it (Linux 6.14 with "
                                              "fuse.enable_uring=1 does), so requests come through /dev/fuse\n"));
    std::ofstream(stack.root() / "file") << "text";
    const pid_t worker = stack.worker();
    ::kill(worker, SIGKILL);
    CHECK(fs::file_size(stack.root() / "file") == 4);  // a successor answers
    CHECK(stack.unmount() == 0);
}

TEST_CASE("reads and writes of 1 MiB come whole over io_uring") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    constexpr size_t size = size_t{1} << 20;
    Mounted stack(ring_mode);
    stack.mount();
    void *memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto *bytes = static_cast<unsigned char *>(memory);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(i * 31 >> 7);
    const std::string wanted(reinterpret_cast<char *>(bytes), size);
    const base::Fd fd(::open((stack.root() / "big").c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));
    REQUIRE(fd);
    CHECK(::pwrite(fd.get(), bytes, size, 0) == size);
    CHECK(::pwrite(fd.get(), bytes, size, size) == size);
    std::ifstream upper(stack.upper() / "big", std::ios::binary);
    CHECK(std::string((std::istreambuf_iterator<char>(upper)), {}) == wanted + wanted);
    std::fill_n(bytes, size, 0);
    CHECK(::pread(fd.get(), bytes, size, size) == size);
    CHECK(std::string(reinterpret_cast<char *>(bytes), size) == wanted);
    ::munmap(memory, size);
}

TEST_CASE("a load that checks itself finds nothing wrong over io_uring, nor do clients that are killed disturb it") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    Mounted stack(ring_mode);
    parity::populate_load(stack.lower(), 4);
    for (int i = 0; i < 300; ++i) std::ofstream(stack.lower() / ("file-" + std::to_string(i))) << std::string(20000, 'x');
    stack.mount();
    parity::Load load(stack.root(), 4, static_cast<unsigned>(Catch::getSeed()));
    for (int round = 0; round < 40; ++round) {
        const auto pids = start(4, [&](int i) {
            for (int f = i; f < 300; ++f)
                if (const int error = read_whole(stack.root() / ("file-" + std::to_string(f))); error != 0) return error;
            return 0;
        });
        ::usleep(static_cast<useconds_t>(2000 * (round % 10)));
        ::kill(pids[0], SIGKILL);  // perhaps while it waits for an answer
        ::kill(pids[1], SIGKILL);
        for (const int status : failures(pids, 10)) CHECK(status == SIGKILL);
    }
    CHECK(load.operations() > 1000);
    CHECK(load.finish() == "");
    const std::string seen = parity::tree(stack.root());
    CHECK(stack.unmount() == 0);
    stack.mount();
    CHECK(parity::tree(stack.root()) == seen);
}

TEST_CASE("more copy-ups from one processor than it has threads over io_uring all come to an end") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    constexpr int clients = 40;
    Mounted stack(ring_mode);
    for (int i = 0; i < clients; ++i) {
        std::ofstream(stack.lower() / std::to_string(i)) << "x";
        ::truncate((stack.lower() / std::to_string(i)).c_str(), 4 << 20);
        std::ofstream(stack.lower() / std::to_string(i), std::ios::app) << std::string(1 << 20, 'y');
    }
    stack.mount();
    const auto pids = start(clients, [&](int i) {
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        (void)::sched_setaffinity(0, sizeof first, &first);
        const base::Fd fd(::open((stack.root() / std::to_string(i)).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        return fd && ::write(fd.get(), "z", 1) == 1 && ::fsync(fd.get()) == 0 ? 0 : 1;
    });
    CHECK(failures(pids, 60).empty());
    for (int i = 0; i < clients; ++i) CHECK(fs::file_size(stack.upper() / std::to_string(i)) == (5 << 20) + 1);
    CHECK(stack.unmount() == 0);
}

TEST_CASE("a worker that dies takes a mount over io_uring with it: nobody waits for ever, and it is said why") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    for (int round = 0; round < 5; ++round) {
        Mounted stack(ring_mode);
        for (int i = 0; i < 300; ++i) std::ofstream(stack.lower() / std::to_string(i)) << std::string(20000, 'x');
        stack.mount();
        const auto pids = start(6, [&](int i) {
            for (int f = 0;; ++f) {
                const fs::path made = stack.root() / ("made-" + std::to_string(i));
                if (read_whole(stack.root() / std::to_string((f + 50 * i) % 300)) != 0) return 0;
                std::ofstream(made) << "text";
                if (::unlink(made.c_str()) < 0) return 0;
            }
        });
        ::usleep(static_cast<useconds_t>(100000 + 7000 * round));
        ::kill(stack.worker(), SIGKILL);
        CHECK(failures(pids, 10).empty());
        CHECK(stack.end() == 1);
        CHECK_THAT(stack.log(), ContainsSubstring("unionfs: " + stack.root().string() +
                                                  ": the worker was killed by signal 9; the kernel doesn't resend io_uring "
                                                  "requests, so the mount is lost; unmount it and mount it again\n"));
        CHECK(::access((stack.root() / "anything").c_str(), F_OK) < 0);
        CHECK(errno == ENOTCONN);
        CHECK(::umount2(stack.root().c_str(), 0) == 0);
    }
}

TEST_CASE("an unmount under load over io_uring ends when its last user does") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    Mounted stack(ring_mode);
    parity::populate_load(stack.lower(), 4);
    stack.mount();
    parity::Load load(stack.root(), 4, static_cast<unsigned>(Catch::getSeed()));
    ::usleep(300000);
    CHECK(::umount2(stack.root().c_str(), 0) < 0);
    CHECK(errno == EBUSY);
    ::kill(stack.supervisor(), SIGTERM);
    ::usleep(300000);
    CHECK(load.finish() == "");
    CHECK(stack.end() == 0);
    CHECK(::umount2((stack.base() / "disk").c_str(), 0) == 0);  // nothing keeps the disk below busy
}

TEST_CASE("a forced unmount over io_uring fails those who wait, and the daemon ends") {
    if (const std::string reason = absent(); !reason.empty()) SKIP(reason);
    Mounted stack(ring_mode);
    for (int i = 0; i < 300; ++i) std::ofstream(stack.lower() / std::to_string(i)) << std::string(20000, 'x');
    stack.mount();
    const auto pids = start(4, [&](int i) {
        for (int f = i; read_whole(stack.root() / std::to_string(f % 300)) == 0; ++f) continue;
        return 0;
    });
    ::usleep(100000);
    ::umount2(stack.root().c_str(), MNT_FORCE);
    ::umount2(stack.root().c_str(), MNT_DETACH);
    CHECK(failures(pids, 10).empty());
    CHECK(stack.end() == 0);
}
