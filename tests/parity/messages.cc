// What the two modes promise: no message to the daemon for a warm open and read (store), no data of the upper's files through
// the daemon (throughput). The tests count the bytes that the daemon reads and writes, including requests and answers.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"

using parity::Mounted;
using parity::Traffic;

namespace {

namespace fs = std::filesystem;

constexpr size_t megabyte = 1 << 20;
constexpr uint64_t some_messages = 20000;  // bytes
constexpr int tries = 5;

std::string content(const fs::path &path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), {}};
}

// Short of memory, the kernel drops what it has cached and asks for it again. So the least of a few tries counts: what the
// union itself asks, it asks in each of them. What `prepare` costs does not count.
Traffic least_traffic(pid_t worker, const std::function<void()> &prepare, const std::function<void()> &act) {
    Traffic least{.read = UINT64_MAX, .written = UINT64_MAX};
    for (int i = 0; i < tries && least.read + least.written != 0; ++i) {
        prepare();
        const Traffic before = parity::traffic_of(worker);
        act();
        const Traffic after = parity::traffic_of(worker);
        const Traffic now{.read = after.read - before.read, .written = after.written - before.written};
        if (now.read < least.read) least = now;
    }
    return least;
}

}  // namespace

TEST_CASE("in store mode a warm open and read sends nothing to the daemon") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const support::CachesKept warm;
    Mounted stack("store");
    std::ofstream(stack.lower() / "file") << std::string(megabyte, 'f');
    stack.mount();
    const Traffic cold = parity::traffic_of(stack.worker());
    CHECK(content(stack.root() / "file").size() == megabyte);
    const Traffic before = parity::traffic_of(stack.worker());
    CHECK(before.read - cold.read > megabyte);
    const auto nothing = [] {};
    const Traffic warm_reads = least_traffic(stack.worker(), nothing, [&] {
        for (int i = 0; i < 10; ++i) CHECK(content(stack.root() / "file").size() == megabyte);
    });
    CHECK(warm_reads.read == 0);
    CHECK(warm_reads.written == 0);
}

TEST_CASE("in throughput mode the kernel reads and writes the upper's files itself") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const support::CachesKept warm;
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    std::ofstream(stack.lower() / "copied") << "lower";
    stack.mount();
    std::ofstream(stack.root() / "copied", std::ios::app) << "up";
    for (const char *name : {"new", "copied"}) {
        INFO(name);
        const Traffic before = parity::traffic_of(stack.worker());
        const base::Fd fd(::open((stack.root() / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        const std::string data(megabyte, 'd');
        std::string got(megabyte, '\0');
        REQUIRE(::pwrite(fd.get(), data.data(), data.size(), 0) == static_cast<ssize_t>(megabyte));
        REQUIRE(::pread(fd.get(), got.data(), got.size(), 0) == static_cast<ssize_t>(megabyte));
        CHECK(got == data);
        const Traffic after = parity::traffic_of(stack.worker());
        const uint64_t bytes = after.read - before.read + after.written - before.written;
        if (mode == "store")
            CHECK(bytes > megabyte);
        else
            CHECK(bytes < some_messages);
    }
}

TEST_CASE("the answer to a chmod of a lower file tells its attributes: a stat after it asks nothing") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const support::CachesKept warm;
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (int i = 0; i < tries; ++i) std::ofstream(stack.lower() / std::to_string(i)) << "lower";
    stack.mount();
    std::string file;
    const auto change = [&, next = 0]() mutable {
        file = stack.root() / std::to_string(next++);
        REQUIRE(::chmod(file.c_str(), 0600) == 0);
    };
    const Traffic asked = least_traffic(stack.worker(), change, [&] {
        struct stat status{};
        REQUIRE(::stat(file.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);
    });
    CHECK(asked.read == 0);
}
