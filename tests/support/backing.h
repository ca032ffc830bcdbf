// The file system under a test's directories, for this object's lifetime. Tests run on several kinds because they differ: a
// tmpfs never reuses an inode number, an ext4 gives it to the next object at once, an ext3 has the coarse clock of kernels
// before 6.13, an xfs shares blocks between files, a btrfs has a separate device number for each subvolume. Needs root; throws
// std::runtime_error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace support {

class Backing {
  public:
    // Mounts a new one at `directory`. `kind`: tmpfs, ext3, ext4, xfs or btrfs. `room_bytes`: approximate room for files; 0:
    // plenty.
    Backing(std::filesystem::path directory, const std::string &kind, uint64_t room_bytes = 0);
    ~Backing();  // a file system still in use goes away after its last use
    Backing(const Backing &) = delete;
    Backing &operator=(const Backing &) = delete;

  private:
    std::filesystem::path directory_;
};

}  // namespace support
