// A file that is moved all the time: whoever looks at it meanwhile finds it, and nothing else that has its name by then.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

namespace {

namespace fs = std::filesystem;

constexpr std::array names{"one", "other"};

// What tells a file from the others, read by an open descriptor and not from the kernel's caches.
std::string look(int fd) {
    struct statx status{};
    if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) < 0) return parity::result(-1);
    std::array<char, 16> value{};
    if (::fgetxattr(fd, "user.name", value.data(), value.size()) < 0) return "xattr " + parity::result(-1);
    return std::to_string(status.stx_ino) + " " + std::to_string(status.stx_size) +
           (S_ISREG(status.stx_mode) ? " file " : " ? ") + value.data();
}

// In the folder of the two names, until both had all names a thousand times.
void move_around(const fs::path &root) {
    const base::Fd dir(::open(root.c_str(), O_PATH | O_CLOEXEC));
    for (int i = 0; i < 1000; ++i) {
        ::renameat(dir.get(), names[0], dir.get(), "away");  // leaves a whiteout
        ::renameat(dir.get(), "away", dir.get(), names[0]);
        ::syscall(SYS_renameat2, dir.get(), names[0], dir.get(), names[1], RENAME_EXCHANGE);
    }
}

}  // namespace

TEST_CASE("a file that is moved all the time is itself to whoever looks at it") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    parity::Mounted stack(mode);
    for (const char *name : names) std::ofstream(stack.lower() / name) << name;
    stack.mount();
    std::vector<base::Fd> files;
    std::vector<std::string> first;
    for (const char *name : names) {
        files.emplace_back(::open((stack.root() / name).c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::fsetxattr(files.back().get(), "user.name", name, std::string_view(name).size(), 0) == 0);
        first.push_back(look(files.back().get()));
        CHECK_THAT(first.back(), Catch::Matchers::EndsWith(std::string(" file ") + name));
    }
    std::atomic<bool> done = false;
    std::thread mover([&] {
        move_around(stack.root());
        done = true;
    });
    std::set<std::string> seen;
    unsigned looks = 0;
    for (; !done; ++looks) seen.insert(look(files[looks % 2].get()));
    mover.join();
    CHECK(looks > 100);
    CHECK(seen == std::set(first.begin(), first.end()));
    for (size_t i = 0; i < files.size(); ++i) CHECK(look(files[i].get()) == first[i]);
}
