// Where file systems, volume managers and partition tables keep a second copy of their signature. A disk that lost its
// beginning still has these copies, and its data can be recovered with them. Used to say what a nonzero byte belongs to, and to
// choose what to read even if the launcher vouches for a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stage1 {

struct BackupPlace {
    uint64_t offset = 0;     // of the copy, in bytes from the start of the device
    uint32_t magic_at = 0;   // of the magic, within the copy
    std::string_view magic;  // empty: a place without a magic, which is only read
    std::string what;        // `an ext2/3/4 backup superblock`
    std::string remedy;      // what its owner could do now; may be empty
};

// All places on a device of this size, sorted by offset.
std::vector<BackupPlace> backup_places(uint64_t size_bytes);

// Looks for the signatures on `fd`: `an ext2/3/4 backup superblock at byte 134217728; e2fsck …`. Empty: none found.
std::string name_remains(int fd, uint64_t size_bytes);

}  // namespace stage1
