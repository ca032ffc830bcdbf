// The file system that a test's directories lie on, while it lives. What is tested is to hold on more than one kind: a tmpfs
// never gives an inode's number twice, an ext4 gives it to the next object at once, an ext3 has the coarse clock of kernels
// before 6.13, an xfs shares blocks between files, a btrfs has a device number of its own for each subvolume. Needs root; throws
// std::runtime_error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace support {

class Backing {
  public:
    // Mounts a new one at `directory`. `kind`: tmpfs, ext3, ext4, xfs or btrfs. `room_bytes`: what it holds in files, give or
    // take the file system's own; 0: enough.
    Backing(std::filesystem::path directory, const std::string &kind, uint64_t room_bytes = 0);
    ~Backing();  // what is still used goes when it no longer is
    Backing(const Backing &) = delete;
    Backing &operator=(const Backing &) = delete;

  private:
    std::filesystem::path directory_;
};

}  // namespace support
