// The file system that a test's layers lie on, while it lives. The whole suite is to hold on more than one kind: a tmpfs
// never gives an inode's number twice, an ext4 gives it to the next object at once. Needs root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace parity {

// What $PARITY_BACKING says, `tmpfs` or `ext4`; `tmpfs` when it says nothing. Else the test that runs fails.
std::string chosen_backing();

class Backing {
  public:
    // Mounts a new one at `folder`. `room_bytes`: what it holds in files, give or take the file system's own; 0: enough.
    explicit Backing(std::filesystem::path folder, uint64_t room_bytes = 0, const std::string &kind = chosen_backing());
    ~Backing();  // what is still used goes when it no longer is
    Backing(const Backing &) = delete;
    Backing &operator=(const Backing &) = delete;

  private:
    std::filesystem::path folder_;
};

}  // namespace parity
