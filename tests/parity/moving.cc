// A file that is moved all the time: whoever looks at it finds it, and never another object that has its old name.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
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

// The mark that identifies a file, read through a descriptor and not from the kernel's caches.
std::string look(int fd) {
    struct statx status{};
    if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) < 0) return parity::result(-1);
    std::array<char, 16> value{};
    if (::fgetxattr(fd, "user.name", value.data(), value.size()) < 0) return "xattr " + parity::result(-1);
    return std::to_string(status.stx_ino) + " " + std::to_string(status.stx_size) +
           (S_ISREG(status.stx_mode) ? " file " : " ? ") + value.data();
}

// Repeats in the directory of the two names until both names have taken their turn `times` times.
void move_around(const fs::path &root, int times) {
    const base::Fd dir(::open(root.c_str(), O_PATH | O_CLOEXEC));
    for (int i = 0; i < times; ++i) {
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
        move_around(stack.root(), 1000);
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

// The union keeps few descriptors open, and reopens a file by name when it needs one.
TEST_CASE("what is read of a file that is moved all the time is its own") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    constexpr int crowd = 80;
    constexpr size_t size = 4096;
    parity::Mounted stack("store");
    for (const char *name : names) std::ofstream(stack.lower() / name) << std::string(size, name[1]);
    for (int i = 0; i < crowd; ++i) std::ofstream(stack.lower() / std::to_string(i)) << std::string(size, 'c');
    stack.mount("max_files=64");
    std::vector<base::Fd> files;
    for (const char *name : names) {
        files.emplace_back(::open((stack.root() / name).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        REQUIRE(::fchmod(files.back().get(), 0600) == 0);
    }
    for (int i = 0; i < crowd; ++i)
        files.emplace_back(::open((stack.root() / std::to_string(i)).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    std::atomic<bool> done = false;
    std::thread mover([&] {
        move_around(stack.root(), 10000);
        done = true;
    });
    auto *block = static_cast<char *>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    unsigned reads = 0, wrong = 0;
    for (; !done; ++reads) {
        for (const base::Fd &file : files) {
            const size_t i = static_cast<size_t>(&file - files.data());
            const char wanted = i < names.size() ? names[i][1] : 'c';
            if (::pread(file.get(), block, size, 0) != size || block[0] != wanted) ++wrong;
        }
    }
    mover.join();
    ::munmap(block, size);
    CHECK(reads > 100);
    CHECK(wrong == 0);
}
