#include "tests/support/backing.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <format>
#include <stdexcept>
#include <vector>

#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace support {

namespace {

constexpr uint64_t enough_bytes = uint64_t{2} << 30;

// The command that makes one in a file; the file's path is appended.
struct Kind {
    const char *name;
    std::vector<std::string> make;
    const char *mount_options;
    uint64_t own_bytes;  // its own overhead on a small disk
};

const Kind *kind_of(const std::string &name) {
    static const std::array<Kind, 4> known{
        {{"ext4", {"mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"}, "noinit_itable", 2 << 20},
         {"ext3", {"mke2fs", "-q", "-t", "ext3", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"}, "noinit_itable", 2 << 20},
         {"xfs", {"mkfs.xfs", "-q", "-K"}, "", 300 << 20},  // the minimum of mkfs.xfs(8)
         {"btrfs", {"mkfs.btrfs", "-q", "-K"}, "", 128 << 20}}};
    const auto found = std::ranges::find(known, name, &Kind::name);
    return found == known.end() ? nullptr : &*found;
}

void mount_or_throw(const std::string &source, const std::filesystem::path &directory, const char *kind,
                    const std::string &options) {
    if (::mount(source.c_str(), directory.c_str(), kind, 0, options.c_str()) < 0)
        throw std::runtime_error(std::format("mount {} at '{}': {}", kind, directory.string(), std::strerror(errno)));
}

// A tmpfs without a size reports no free space, and the union's mode=auto needs that number.
void mount_tmpfs(const std::filesystem::path &directory, uint64_t room_bytes) {
    mount_or_throw("backing", directory, "tmpfs", std::format("mode=755,size={}", room_bytes == 0 ? enough_bytes : room_bytes));
}

// In memory, on a loop device that is freed with its last mount.
void mount_image(const std::filesystem::path &directory, const Kind &kind, uint64_t room_bytes) {
    const base::Fd image(::memfd_create(kind.name, MFD_CLOEXEC));
    std::vector<std::string> make = kind.make;
    const std::string path = std::format("/proc/{}/fd/{}", ::getpid(), image.get());
    make_sparse_file(path, room_bytes == 0 ? enough_bytes : room_bytes + kind.own_bytes);
    make.push_back(path);
    const auto made = base::run({.argv = make, .capture_output = true});
    if (!made || made->status != 0) throw std::runtime_error(make[0] + ": " + (made ? made->output : "can't be started"));
    const LoopDevice device(path);
    mount_or_throw(device.path(), directory, kind.name, kind.mount_options);
}

}  // namespace

Backing::Backing(std::filesystem::path directory, const std::string &kind, uint64_t room_bytes)
    : directory_(std::move(directory)) {
    if (kind == "tmpfs")
        mount_tmpfs(directory_, room_bytes);
    else if (const Kind *wanted = kind_of(kind))
        mount_image(directory_, *wanted, room_bytes);
    else
        throw std::runtime_error("backing '" + kind + "': is none of tmpfs, ext3, ext4, xfs and btrfs");
}

Backing::~Backing() { ::umount2(directory_.c_str(), MNT_DETACH); }

}  // namespace support
