// Disks for tests: scratch directories, image files and loop devices that go away with their owner. Needs root; who hasn't
// got it skips with loop_devices_missing().
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

// A loop device over `file`, ours alone. Throws std::system_error when the kernel has none to give.
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

// Why loop devices cannot be had here; empty: they can.
std::string loop_devices_missing();

void make_sparse_file(const std::string &path, uint64_t size_bytes);
void write_bytes(const std::string &path, uint64_t offset, const std::string &bytes);
void punch_hole(const std::string &path, uint64_t offset, uint64_t length);  // it reads as zeros then

// Of the content; holes count as the zeros that they read as.
uint64_t fingerprint(const std::string &path);

}  // namespace support
