// The worker is killed under load, and no client sees an error.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch_amalgamated.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <random>
#include <thread>

#include "mounts/base/fd.h"
#include "tests/parity/load.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/disk.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

constexpr int clients = 6;

void sleep_ms(unsigned ms) { ::usleep(ms * 1000); }

// Kills come in bursts, so that some hit a successor during its takeover; a burst stays below the limit for giving up.
void kill_workers(const Mounted &stack, int kills, std::mt19937 &random) {
    for (int i = 0; i < kills; ++i) {
        sleep_ms(i % 4 == 0 ? 1500 + static_cast<unsigned>(random() % 200) : static_cast<unsigned>(random() % 60));
        if (const pid_t pid = stack.worker(); pid > 0) ::kill(pid, SIGKILL);
    }
    sleep_ms(300);
}

// Adopts processes whose parent died, so that the test can wait for them.
class Orphans {
  public:
    Orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ~Orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
    Orphans(const Orphans &) = delete;
    Orphans &operator=(const Orphans &) = delete;
    // The exit code if it ends within 5 seconds, or 128 + its signal; otherwise -1.
    int end(pid_t pid) const {
        int status = 0;
        for (int i = 0; i < 500; ++i, sleep_ms(10))
            if (::waitpid(pid, &status, WNOHANG) == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return -1;
    }
};

}  // namespace

TEST_CASE("no operation fails and nothing is lost while the worker is killed again and again") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const char *wanted = std::getenv("CRASH_KILLS");
    const int kills = wanted != nullptr ? std::atoi(wanted) : 20;
    std::mt19937 random(static_cast<unsigned>(Catch::getSeed()));
    for (const char *mode : {"store", "throughput"}) {
        INFO("mode=" << mode);
        Mounted stack(mode);
        parity::populate_load(stack.lower(), clients);
        stack.mount();
        parity::Load load(stack.root(), clients, static_cast<unsigned>(random()));
        kill_workers(stack, kills, random);
        const unsigned long operations = load.operations();
        CHECK(load.finish() == "");
        CHECK(operations > 1000);
        WARN(mode << ": " << operations << " operations over " << kills << " kills");
        const std::string seen = parity::tree(stack.root());
        CHECK(stack.unmount() == 0);
        REQUIRE(::mount("overlay", (stack.base() / "kernel").c_str(), "overlay", 0,
                        (stack.layers() + ",index=off,redirect_dir=on").c_str()) == 0);
        CHECK(parity::tree(stack.base() / "kernel") == seen);
    }
}

TEST_CASE("what is appended to an append-only file is there once, though the worker is killed again and again") {
    if (const std::string reason = parity::missing() + support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store", 0, "ext4");
    // Each write waits for the disk, so most kills come between a write and its answer.
    REQUIRE(::mount(nullptr, (stack.base() / "disk").c_str(), nullptr, MS_REMOUNT | MS_SYNCHRONOUS, nullptr) == 0);
    stack.mount();
    base::Fd file(::open((stack.root() / "log").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    unsigned flags = 0;
    REQUIRE(::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) == 0);
    flags |= FS_APPEND_FL;
    REQUIRE(::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0);
    std::atomic<bool> stop = false;
    uint32_t written = 0;
    std::thread writer([&] {
        while (!stop && ::write(file.get(), &written, sizeof written) == sizeof written) ++written;
    });
    std::mt19937 random(static_cast<unsigned>(Catch::getSeed()));
    kill_workers(stack, 24, random);
    CHECK_FALSE(stop.exchange(true));
    writer.join();
    CHECK(written > 100);
    std::ifstream log(stack.root() / "log", std::ios::binary);
    uint32_t read = 0;
    for (uint32_t number = 0; log.read(reinterpret_cast<char *>(&number), sizeof number); ++read) REQUIRE(number == read);
    CHECK(read == written);
    log.close();
    flags &= ~static_cast<unsigned>(FS_APPEND_FL);
    CHECK(::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0);
    file.reset();
    CHECK(stack.unmount() == 0);
}

TEST_CASE("a worker that dies as soon as it serves is replaced four times, then the mount is given up") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    stack.mount();
    for (pid_t last = 0, i = 0; i < 5; ++i) {
        pid_t pid = stack.worker();
        for (int wait = 0; wait < 200 && (pid == last || pid == 0); ++wait) {
            sleep_ms(5);
            pid = stack.worker();
        }
        ::kill(pid, SIGABRT);
        last = pid;
    }
    CHECK(stack.end() == 1);
    CHECK_THAT(stack.log(),
               Catch::Matchers::ContainsSubstring("unionfs: " + stack.root().string() +
                                                  ": the worker was killed by signal 6; it is the fifth in a row that lived less "
                                                  "than a second, so the mount is lost; unmount it and mount it again\n"));
    CHECK(::access((stack.root() / "anything").c_str(), F_OK) < 0);
    CHECK(errno == ENOTCONN);
}

TEST_CASE("SIGTERM unmounts, and supervisor and worker end with 0") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    stack.mount();
    const pid_t worker = stack.worker();
    ::kill(worker, SIGTERM);  // systemd sends it to all processes of a unit; only the supervisor acts on it
    ::kill(stack.supervisor(), SIGTERM);
    ::kill(stack.supervisor(), SIGTERM);
    CHECK(stack.end() == 0);
    CHECK(::kill(worker, 0) < 0);
    CHECK(fs::is_empty(stack.root()));
    CHECK(::umount2((stack.base() / "disk").c_str(), 0) == 0);  // nothing keeps the disk below busy
}

TEST_CASE("a worker whose supervisor was killed serves on alone, ignores SIGTERM, and ends with the unmount") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Orphans orphans;
    Mounted stack("store");
    std::ofstream(stack.lower() / "file") << "lower";
    stack.mount();
    const pid_t worker = stack.worker();
    ::kill(stack.supervisor(), SIGKILL);
    CHECK(stack.end() == 128 + SIGKILL);
    ::kill(worker, SIGTERM);
    sleep_ms(100);
    std::ofstream(stack.root() / "file", std::ios::app) << " and upper";
    fs::create_directory(stack.root() / "made");
    CHECK(fs::file_size(stack.upper() / "file") == 15);
    CHECK(fs::is_directory(stack.upper() / "made"));
    CHECK(::umount2(stack.root().c_str(), 0) == 0);
    CHECK(orphans.end(worker) == 0);
    CHECK(::umount2((stack.base() / "disk").c_str(), 0) == 0);  // nothing keeps the disk below busy
}

TEST_CASE("a mount whose supervisor and then worker are killed answers ENOTCONN, and what was written is there") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Orphans orphans;
    Mounted stack("store");
    stack.mount();
    const pid_t worker = stack.worker();
    std::ofstream(stack.root() / "written") << "text";
    ::kill(stack.supervisor(), SIGKILL);
    CHECK(stack.end() == 128 + SIGKILL);
    ::kill(worker, SIGKILL);
    CHECK(orphans.end(worker) == 128 + SIGKILL);
    CHECK(::access((stack.root() / "anything").c_str(), F_OK) < 0);
    CHECK(errno == ENOTCONN);
    CHECK(::umount2(stack.root().c_str(), 0) == 0);
    stack.mount();
    CHECK(fs::file_size(stack.root() / "written") == 4);
}
