#include "tests/parity/backing.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <format>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace parity {

namespace {

constexpr uint64_t enough_bytes = uint64_t{2} << 30;
constexpr uint64_t journal_and_tables_bytes = uint64_t{2} << 20;  // of the smallest ext4

// Without a size it tells no room, so there `auto` has nothing to go by (mode.cc).
void mount_tmpfs(const std::filesystem::path &folder, uint64_t room_bytes) {
    const std::string options = std::format("mode=755,size={}", room_bytes == 0 ? enough_bytes : room_bytes);
    REQUIRE(::mount("backing", folder.c_str(), "tmpfs", 0, options.c_str()) == 0);
}

// In memory, by a loop device that frees itself with its last mount.
void mount_ext4(const std::filesystem::path &folder, uint64_t room_bytes) {
    const base::Fd image(::memfd_create("ext4", MFD_CLOEXEC));
    const uint64_t size = room_bytes == 0 ? enough_bytes : room_bytes + journal_and_tables_bytes;
    REQUIRE(::ftruncate(image.get(), static_cast<off_t>(size)) == 0);
    const std::string path = std::format("/proc/{}/fd/{}", ::getpid(), image.get());
    const auto made = base::run(
        {.argv = {"mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", path}, .capture_output = true});
    REQUIRE(made);
    INFO(made->output);
    REQUIRE(made->status == 0);
    const support::LoopDevice device(path);
    REQUIRE(::mount(device.path().c_str(), folder.c_str(), "ext4", 0, "noinit_itable") == 0);
}

}  // namespace

std::string chosen_backing() {
    const char *word = std::getenv("PARITY_BACKING");
    return word == nullptr ? "tmpfs" : word;
}

Backing::Backing(std::filesystem::path folder, uint64_t room_bytes, const std::string &kind) : folder_(std::move(folder)) {
    if (kind == "ext4")
        mount_ext4(folder_, room_bytes);
    else if (kind == "tmpfs")
        mount_tmpfs(folder_, room_bytes);
    else
        FAIL("PARITY_BACKING=" << kind << ": is neither tmpfs nor ext4");
}

Backing::~Backing() { ::umount2(folder_.c_str(), MNT_DETACH); }

}  // namespace parity
