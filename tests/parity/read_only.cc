// A union without an upper never changes, so in throughput mode the kernel reads its files directly from the layers.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

// Two lowers, merged by ours at `ours` and by overlayfs at `kernel`, for this object's lifetime.
struct Merged {
    fs::path base;
    std::optional<support::Backing> disk{};

    explicit Merged(const std::string &mode) {
        char name[] = "/tmp/read-only-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base = name;
        disk.emplace(base, parity::backing());
        for (const char *directory : {"top/d", "low/d", "ours", "kernel"}) fs::create_directories(base / directory);
        std::ofstream(base / "top/d/both") << "of the top";
        std::ofstream(base / "low/d/both") << "of the bottom";
        std::ofstream(base / "low/d/big") << std::string(300000, 'b') << "end";
        const std::string layers = "lowerdir=" + (base / "top").string() + ":" + (base / "low").string();
        REQUIRE(::mount("overlay", (base / "kernel").c_str(), "overlay", MS_RDONLY, layers.c_str()) == 0);
        const auto exit = base::run({.argv = {parity::program(), "-o", "mode=" + mode + "," + layers, base / "ours"}});
        REQUIRE(exit);
        REQUIRE(exit->status == 0);
    }
    Merged(const Merged &) = delete;
    Merged &operator=(const Merged &) = delete;
    ~Merged() {
        for (const char *directory : {"ours", "kernel"}) ::umount2((base / directory).c_str(), MNT_DETACH);
        disk.reset();
        ::rmdir(base.c_str());
    }
};

// The bytes that the mount's daemon has read. Finds the daemon by the directory in its options.
uint64_t read_by_daemon(const fs::path &base) {
    uint64_t bytes = 0;
    for (const auto &entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "cmdline");
        const std::string words((std::istreambuf_iterator<char>(file)), {});
        if (words.contains(base.string() + "/low")) bytes += parity::traffic_of(std::atoi(entry.path().filename().c_str())).read;
    }
    return bytes;
}

std::string mapped(const fs::path &file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status{};
    REQUIRE(::fstat(fd, &status) == 0);
    const auto size = static_cast<size_t>(status.st_size);
    void *bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(bytes != MAP_FAILED);
    std::string content(static_cast<const char *>(bytes), size);
    ::munmap(bytes, size);
    ::close(fd);
    return content;
}

}  // namespace

TEST_CASE("a union without an upper reads as overlayfs does, and can't be written to") {
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    const Merged merged(mode);
    const uint64_t before = read_by_daemon(merged.base);
    CHECK(before > 0);
    CHECK(parity::tree(merged.base / "ours") == parity::tree(merged.base / "kernel"));
    for (const char *name : {"d/both", "d/big"})
        CHECK(mapped(merged.base / "ours" / name) == mapped(merged.base / "kernel" / name));
    const uint64_t read = read_by_daemon(merged.base) - before;
    if (mode == "store")
        CHECK(read > 300000);
    else
        CHECK(read < 100000);  // only the requests: the kernel read the layers' files itself
    CHECK(::open((merged.base / "ours/d/big").c_str(), O_WRONLY | O_CLOEXEC) == -1);
    CHECK(errno == EROFS);
}

TEST_CASE("auto takes throughput over local lowers of big files, store over a server's, and says what it saw") {
    Merged merged("store");
    std::ofstream(merged.base / "low/bigger") << std::string(size_t{32} << 20, 'b');
    fs::create_directory(merged.base / "more");
    const auto said_over = [&](const char *lower) {
        const auto exit = base::run(
            {.argv = {parity::program(), "-o", "lowerdir=" + (merged.base / lower).string(), (merged.base / "more").string()},
             .capture_output = true});
        REQUIRE(exit);
        CHECK(::umount2((merged.base / "more").c_str(), 0) == 0);
        return exit->output;
    };
    CHECK_THAT(said_over("low"), Catch::Matchers::StartsWith("unionfs: mode=auto: throughput: files of the lowers average ") &&
                                     Catch::Matchers::ContainsSubstring(" KiB: first reads of large files"));
    CHECK_THAT(said_over("ours"), Catch::Matchers::StartsWith("unionfs: mode=auto: store: the lowers are on fuse.unionfs, so "));
}
