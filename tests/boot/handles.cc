// What a guest's root can open in its share of the store by file handles (open_by_handle_at(2)), both its own and guessed ones.
// The guest runs this same program, for the one test that must run in a guest.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <format>
#include <print>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

// A file_handle without its flexible array, which may not lie within a struct.
struct Head {
    unsigned handle_bytes = 0;
    int handle_type = 0;
};
static_assert(sizeof(Head) == sizeof(file_handle));

struct Handle {
    Head head;
    std::array<unsigned char, 128> bytes{};
};

// The kernels' formats (linux/exportfs.h): an inode number of 32 bits and a generation, or a number of 64 bits.
Handle guessed(uint64_t number, bool wide) {
    constexpr int narrow_type = 1, wide_type = 0x81;
    Handle handle;
    const auto low = static_cast<uint32_t>(number), high = static_cast<uint32_t>(number >> 32);
    const std::array<uint32_t, 3> words = wide ? std::array<uint32_t, 3>{high, low, 0} : std::array<uint32_t, 3>{low, 0, 0};
    handle.head.handle_type = wide ? wide_type : narrow_type;
    handle.head.handle_bytes = wide ? 12 : 8;
    std::memcpy(handle.bytes.data(), words.data(), sizeof words);
    return handle;
}

base::Fd open_handle(int share, const Handle &handle) {
    std::array<unsigned char, sizeof(Handle)> memory{};
    std::memcpy(memory.data(), &handle.head, sizeof(Head));
    std::memcpy(memory.data() + sizeof(Head), handle.bytes.data(), handle.bytes.size());
    return base::Fd(::open_by_handle_at(share, reinterpret_cast<file_handle *>(memory.data()), O_RDONLY | O_NONBLOCK));
}

// Whether the file is the hidden one, or a directory in, beside or above it shows its name.
bool shows(const base::Fd &file, const std::string &hidden, ino_t number) {
    struct stat st{};
    if (::fstat(file.get(), &st) == 0 && st.st_ino == number) return true;
    for (const char *place : {".", "..", "../..", "../store", "../../nix/store"}) {
        const auto directory = base::open_at(file.get(), place, O_RDONLY | O_DIRECTORY);
        if (!directory) continue;
        for (const auto &name : base::names_in(directory->get(), place).value_or(base::Names{}))
            if (name == hidden) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("in a guest: no handle shows what is hidden", "[.in-guest]") {
    const char *lower = std::getenv("LOWER"), *hidden = std::getenv("HIDDEN"), *number = std::getenv("HIDDEN_INODE");
    if (lower == nullptr || hidden == nullptr || number == nullptr) SKIP("a guest of the next test runs this");
    const auto inode = static_cast<ino_t>(std::strtoull(number, nullptr, 10));
    const auto share = base::open_at(AT_FDCWD, lower, O_RDONLY | O_DIRECTORY);
    REQUIRE(share);
    // Makes the server know many files.
    for ([[maybe_unused]] const auto &entry :
         fs::recursive_directory_iterator(lower, fs::directory_options::skip_permission_denied)) {
    }
    constexpr uint64_t most = 20'000;
    size_t opened = 0, shown = 0;
    int refused = 0;
    for (uint64_t i = 0; i <= most + 64; ++i)
        for (const bool wide : {false, true}) {
            const base::Fd file = open_handle(share->get(), guessed(i <= most ? i : inode + i - most - 32, wide));
            if (!file) refused = errno;
            opened += file ? 1 : 0;
            shown += file && shows(file, hidden, inode) ? 1 : 0;
        }
    std::println("handles opened: {}, that showed it: {}, refused: {}", opened, shown, std::strerror(refused));
    CHECK(shown == 0);
}

TEST_CASE("a guest's root reaches nothing beyond its closure by file handles, over 9p and virtiofs") {
    const std::string kind = GENERATE("9p", "virtiofs");
    INFO(kind);
    const std::string before = std::getenv("PATH");
    if (kind == "virtiofs") {
        const char *const program = std::getenv("VIRTIOFSD");
        if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
        ::setenv("PATH", (fs::path(program).parent_path().string() + ":" + before).c_str(), 1);
    }
    const std::string toplevel = first_line(fixture() + "/systemd/toplevel"), hidden = toplevel.substr(toplevel.rfind('/') + 1);
    struct stat st{};
    REQUIRE(::stat((fixture() + "/root" + toplevel).c_str(), &st) == 0);
    const Place place(
        std::format("cd /tmp; cp /tmp/shared/program program; LOWER=/nix/.ro-store HIDDEN={} HIDDEN_INODE={} "
                    "./program '[.in-guest]'; echo ended with $?",
                    hidden, st.st_ino));
    must_run(
        {"sh", "-c", "cp \"$1\" \"$2\"; strip \"$2\"", "sh", fs::read_symlink("/proc/self/exe"), place.shared() + "/program"});
    const auto exit = place.runvm({"run", "--timeout", "400", "--store-kind", kind});
    ::setenv("PATH", before.c_str(), 1);
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("that showed it: 0") && ContainsSubstring("ended with 0"));
    // virtiofs opens some, so the guesses really reached it.
    CHECK(exit.output.contains("handles opened: 0,") == (kind == "9p"));
}
