#include "tests/support/backing.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <format>
#include <stdexcept>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace support {

namespace {

constexpr uint64_t enough_bytes = uint64_t{2} << 30;
constexpr uint64_t journal_and_tables_bytes = uint64_t{2} << 20;  // of the smallest ext4

void mount_or_throw(const std::string &source, const std::filesystem::path &directory, const char *kind,
                    const std::string &options) {
    if (::mount(source.c_str(), directory.c_str(), kind, 0, options.c_str()) < 0)
        throw std::runtime_error(std::format("mount {} at '{}': {}", kind, directory.string(), std::strerror(errno)));
}

// Without a size it tells no room, and the union's mode=auto has nothing to go by.
void mount_tmpfs(const std::filesystem::path &directory, uint64_t room_bytes) {
    mount_or_throw("backing", directory, "tmpfs", std::format("mode=755,size={}", room_bytes == 0 ? enough_bytes : room_bytes));
}

// In memory, by a loop device that frees itself with its last mount.
void mount_ext(const std::filesystem::path &directory, const std::string &kind, uint64_t room_bytes) {
    const base::Fd image(::memfd_create(kind.c_str(), MFD_CLOEXEC));
    const std::string path = std::format("/proc/{}/fd/{}", ::getpid(), image.get());
    make_sparse_file(path, room_bytes == 0 ? enough_bytes : room_bytes + journal_and_tables_bytes);
    const auto made = base::run(
        {.argv = {"mke2fs", "-q", "-t", kind, "-m", "0", "-E", "lazy_itable_init=1,nodiscard", path}, .capture_output = true});
    if (!made || made->status != 0) throw std::runtime_error("mke2fs: " + (made ? made->output : "can't be started"));
    const LoopDevice device(path);
    mount_or_throw(device.path(), directory, kind.c_str(), "noinit_itable");
}

}  // namespace

Backing::Backing(std::filesystem::path directory, const std::string &kind, uint64_t room_bytes)
    : directory_(std::move(directory)) {
    if (kind == "ext4" || kind == "ext3")
        mount_ext(directory_, kind, room_bytes);
    else if (kind == "tmpfs")
        mount_tmpfs(directory_, room_bytes);
    else
        throw std::runtime_error("backing '" + kind + "': is none of tmpfs, ext3 and ext4");
}

Backing::~Backing() { ::umount2(directory_.c_str(), MNT_DETACH); }

}  // namespace support
