#include "tests/support/disk.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <format>
#include <functional>
#include <string_view>
#include <system_error>
#include <vector>

namespace support {

namespace {

[[noreturn]] void raise(const std::string &what) { throw std::system_error(errno, std::generic_category(), what); }

base::Fd open_or_raise(const std::string &path, int flags) {
    base::Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
    if (!fd) raise("open " + path);
    return fd;
}

}  // namespace

ScratchDirectory::ScratchDirectory() {
    const char *base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/stage1-test-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) raise("mkdtemp " + path_);
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;  // a leftover in /tmp is not a test failure
    std::filesystem::remove_all(path_, ignored);
}

LoopDevice::LoopDevice(const std::string &file, LoopOptions options) {
    const base::Fd backing = open_or_raise(file, options.read_only ? O_RDONLY : O_RDWR);
    const base::Fd control = open_or_raise("/dev/loop-control", O_RDWR);
    // Another process may take the free device between the query and the open; then try again.
    for (int tries = 0; tries < 100; ++tries) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) raise("get a free loop device");
        path_ = std::format("/dev/loop{}", number);
        // The loop device is read-only if this descriptor is.
        device_ = base::Fd(::open(path_.c_str(), (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
        if (!device_ && errno == ENXIO) continue;  // another process is releasing it
        if (!device_) raise("open " + path_);
        loop_config config{};
        config.fd = static_cast<uint32_t>(backing.get());
        config.block_size = options.sector_bytes;
        config.info.lo_flags = options.read_only ? LO_FLAGS_READ_ONLY : 0;
        if (::ioctl(device_.get(), LOOP_CONFIGURE, &config) == 0) return;
        if (errno != EBUSY) raise("configure " + path_);
    }
    raise("configure any loop device");
}

LoopDevice::~LoopDevice() { (void)::ioctl(device_.get(), LOOP_CLR_FD); }

std::string loop_devices_missing() {
    if (::geteuid() != 0) return "loop devices need root";
    if (::access("/dev/loop-control", R_OK | W_OK) < 0) return "no /dev/loop-control here";
    return {};
}

void make_sparse_file(const std::string &path, uint64_t size_bytes) {
    const base::Fd fd = open_or_raise(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) < 0) raise("truncate " + path);
}

void write_bytes(const std::string &path, uint64_t offset, const std::string &bytes) {
    const base::Fd fd = open_or_raise(path, O_WRONLY);
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes.size()))
        raise("write " + path);
}

void punch_hole(const std::string &path, uint64_t offset, uint64_t length) {
    const base::Fd fd = open_or_raise(path, O_WRONLY);
    if (::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) < 0)
        raise("punch a hole into " + path);
}

uint64_t fingerprint(const std::string &path) {
    const base::Fd fd = open_or_raise(path, O_RDONLY);
    std::string chunk(size_t{1} << 20, '\0');
    const std::string zeros(chunk.size(), '\0');
    uint64_t result = 0;
    uint64_t offset = 0;
    for (;;) {
        const off_t data = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0) break;  // only holes
        offset = static_cast<uint64_t>(data) / chunk.size() * chunk.size();
        const ssize_t n = ::pread(fd.get(), chunk.data(), chunk.size(), static_cast<off_t>(offset));
        if (n < 0) raise("read " + path);
        if (n == 0) break;
        const std::string_view piece(chunk.data(), static_cast<size_t>(n));
        if (piece != std::string_view(zeros).substr(0, piece.size()))
            result = (result * 31) ^ (std::hash<std::string_view>{}(piece) + offset);
        offset += static_cast<uint64_t>(n);
    }
    struct stat status{};
    if (::fstat(fd.get(), &status) < 0) raise("stat " + path);
    return result * 31 + static_cast<uint64_t>(status.st_size);
}

}  // namespace support
