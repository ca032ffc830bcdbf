#include "stage1/disk/write_image.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>

#include "stage1/disk/intent.h"

namespace stage1 {

namespace {

// The primary superblock, for any block size. ext4 does not use the bytes before it.
constexpr uint64_t superblock_at = 1024;

base::Result<> write_at(int disk, std::span<const std::byte> data, uint64_t offset, const std::string &path) {
    while (!data.empty()) {
        const ssize_t n = ::pwrite(disk, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return base::fail(n < 0 ? errno : EIO, "write ext4 to", path, "the next run begins again");
        data = data.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

base::Result<> flush(int disk, const std::string &path) {
    if (::fsync(disk) < 0) return base::fail(errno, "flush", path, "the next run begins again");
    return {};
}

base::Result<> copy(int disk, int image, uint64_t from, uint64_t to, const std::string &path) {
    std::array<std::byte, 65536> buffer;
    while (from < to) {
        const size_t want = std::min<uint64_t>(buffer.size(), to - from);
        const ssize_t n = ::pread(image, buffer.data(), want, static_cast<off_t>(from));
        if (n <= 0) return base::fail(n < 0 ? errno : EIO, "read", "ext4 in memory");
        if (auto done = write_at(disk, std::span<const std::byte>(buffer).first(static_cast<size_t>(n)), from, path); !done)
            return done;
        from += static_cast<uint64_t>(n);
    }
    return {};
}

// Copies everything that mke2fs wrote, starting at `from`.
base::Result<> copy_data(int disk, int image, uint64_t from, const std::string &path) {
    for (;;) {
        const off_t data = ::lseek(image, static_cast<off_t>(from), SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};  // only holes from here on
        if (data < 0) return base::fail(errno, "read", "ext4 in memory");
        const off_t hole = ::lseek(image, data, SEEK_HOLE);
        if (hole < 0) return base::fail(errno, "read", "ext4 in memory");
        const auto begin = std::max(from, static_cast<uint64_t>(data));
        if (auto done = copy(disk, image, begin, static_cast<uint64_t>(hole), path); !done) return done;
        from = static_cast<uint64_t>(hole);
    }
}

}  // namespace

base::Result<> clear_intent(int disk, const std::string &path) {
    const IntentSector zeros{};
    return write_at(disk, zeros, 0, path);
}

base::Result<> write_image(int disk, int image, const Ext4Recipe &recipe, const std::string &path) {
    return write_at(disk, encode_intent(recipe), 0, path)
        .and_then([&] { return flush(disk, path); })
        .and_then([&] { return copy_data(disk, image, superblock_at, path); })
        .and_then([&] { return flush(disk, path); })
        .and_then([&] { return clear_intent(disk, path); });
}

}  // namespace stage1
