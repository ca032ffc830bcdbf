#include "hostside/host/raw_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "hostside/host/loop_device.h"
#include "hostside/host/qcow2.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr std::string_view image_step = "use image";

bool reads_as_zeros(int fd, off_t from, off_t to) {
    constexpr off_t piece_bytes = 1 << 20;
    std::vector<char> piece(piece_bytes);
    while (from < to) {
        const auto n = ::pread(fd, piece.data(), static_cast<size_t>(std::min(piece_bytes, to - from)), from);
        if (n <= 0 || std::any_of(piece.begin(), piece.begin() + n, [](char c) { return c != 0; })) return false;
        from += n;
    }
    return true;
}

// By the file system's map of holes.
bool is_empty_part(int fd, off_t from, off_t until) {
    constexpr off_t most_read_bytes = off_t{16} << 20;
    off_t read_bytes = 0;
    for (off_t at = from; at < until;) {
        const off_t data = ::lseek(fd, at, SEEK_DATA);
        if (data < 0) return errno == ENXIO;  // a hole up to the end
        if (data >= until) return true;
        at = std::min(::lseek(fd, data, SEEK_HOLE), until);
        if (at <= data || (read_bytes += at - data) > most_read_bytes || !reads_as_zeros(fd, data, at)) return false;
    }
    return true;
}

}  // namespace

bool is_block_device(const std::string &path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

Result<Fd> claim_device(const std::string &path) {
    if (!is_block_device(path)) return Fd();
    Fd claim(::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    if (claim) return claim;
    if (errno == EBUSY)
        return fail(EBUSY, image_step, path, "the host itself is using it (lsblk shows how); unmount it, or name another");
    return fail(errno, image_step, path, "may this user open it?");
}

Result<uint64_t> check_raw(const std::string &path, bool writes) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) return fail(errno, image_step, path);
    if (auto kind = check_kind(path); !kind) return std::unexpected(kind.error());
    if (::access(path.c_str(), writes ? R_OK | W_OK : R_OK) < 0)
        return fail(errno, image_step, path, "may this user read and write it?");
    if (auto free = claim_device(path); !free) return std::unexpected(free.error());
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return fail(fd.error().code, image_step, path);
    if (begins_as_qcow2(fd->get()))
        return fail(0, image_step, path,
                    "it is a qcow2 image, and a guest would see its raw bytes; pass --disk-image-format qcow2");
    const off_t size = ::lseek(fd->get(), 0, SEEK_END);
    if (size < 0) return fail(errno, image_step, path);
    return static_cast<uint64_t>(size);
}

bool is_empty_raw(const std::string &path) {
    if (is_block_device(path)) {
        const auto behind = file_behind(path);
        return behind && is_empty_part(behind->file.get(), behind->from, behind->until);
    }
    const auto fd = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    struct stat st{};
    return fd && ::fstat(fd->get(), &st) == 0 && S_ISREG(st.st_mode) && is_empty_part(fd->get(), 0, st.st_size);
}

}  // namespace hostside
