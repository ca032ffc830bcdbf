// Timestamps of files that are written through a mapping; in throughput mode nothing tells the union of these writes.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

namespace {

namespace fs = std::filesystem;

constexpr size_t page = 4096, pages = 8;

struct Times {
    timespec modified, changed;
    bool operator==(const Times &other) const {
        return modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec &&
               changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
    }
};

Times times_of(const fs::path &path) {
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return {status.st_mtim, status.st_ctim};
}

}  // namespace

TEST_CASE("what is written by a mapping is seen in the times, with the descriptor closed and after the mapping is gone") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput", "throughput,stale_readers");
    const std::string name = GENERATE("new", "copied-up", "of-the-lower");
    CAPTURE(mode, name);
    parity::Mounted stack(mode);
    const std::string content(page * pages, 'c');
    for (const char *lower : {"copied-up", "of-the-lower"}) std::ofstream(stack.lower() / lower) << content;
    stack.mount();
    const fs::path path = stack.root() / name, upper = stack.upper() / name;
    if (name == "new") std::ofstream(path) << content;
    if (name == "copied-up") std::ofstream(path, std::ios::app) << "more";
    Times last = times_of(path);
    base::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    auto *bytes = static_cast<char *>(::mmap(nullptr, page * pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    REQUIRE(bytes != MAP_FAILED);
    for (size_t i = 0; i < pages; ++i) {
        CAPTURE(i);
        ::usleep(10000);  // one tick of the clock that sets the timestamps
        bytes[i * page] = 'm';
        if (i == pages - 1) ::munmap(bytes, page * pages);
        if (i < pages - 1) REQUIRE(::msync(bytes, page * pages, MS_SYNC) == 0);
        if (i == 3) fd.reset();
        const Times now = times_of(path);
        CHECK(now == times_of(upper));
        if (i < pages - 1 || mode != "store") CHECK_FALSE(now == last);  // the page cache writes back at any time
        last = now;
    }
    // No process can write to it now, so the kernel caches the times for good and doesn't ask again.
    const auto costs_nothing = [&] {
        const uint64_t before = parity::traffic_of(stack.worker()).read;
        (void)times_of(path);
        return parity::traffic_of(stack.worker()).read == before;
    };
    bool kept = false;
    for (int tries = 0; tries < 100 && !(kept = costs_nothing()); ++tries) ::usleep(10000);
    CHECK(kept);
    CHECK(stack.unmount() == 0);
}
