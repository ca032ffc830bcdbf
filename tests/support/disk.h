// Disks for tests: scratch directories, image files and loop devices, which their owner removes. Needs root; without it a test
// skips by loop_devices_missing().
#pragma once

#include <cstdint>
#include <string>

#include "mounts/base/fd.h"

namespace support {

// A fresh directory below $TMPDIR or /tmp.
class ScratchDirectory {
  public:
    ScratchDirectory();
    ScratchDirectory(const ScratchDirectory &) = delete;
    ScratchDirectory &operator=(const ScratchDirectory &) = delete;
    ~ScratchDirectory();
    [[nodiscard]] std::string path(const std::string &name = {}) const { return name.empty() ? path_ : path_ + "/" + name; }

  private:
    std::string path_;
};

struct LoopOptions {
    uint32_t sector_bytes = 512;
    bool read_only = false;
};

// A loop device over `file`, for this object alone. Throws std::system_error if the kernel has none left.
class LoopDevice {
  public:
    explicit LoopDevice(const std::string &file, LoopOptions options = {});
    LoopDevice(const LoopDevice &) = delete;
    LoopDevice &operator=(const LoopDevice &) = delete;
    ~LoopDevice();
    [[nodiscard]] const std::string &path() const { return path_; }

  private:
    std::string path_;
    base::Fd device_;
};

// The reason why loop devices are not available here; empty if they are.
std::string loop_devices_missing();

void make_sparse_file(const std::string &path, uint64_t size_bytes);
void write_bytes(const std::string &path, uint64_t offset, const std::string &bytes);
void punch_hole(const std::string &path, uint64_t offset, uint64_t length);  // the range reads as zeros afterwards

// Covers the content; holes count as zeros.
uint64_t fingerprint(const std::string &path);

}  // namespace support
