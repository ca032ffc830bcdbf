// Where file systems, volume managers and partition tables keep a second copy of what identifies them. A disk whose
// beginning is gone still has those, and they are what brings its data back. Used to say what a byte that isn't zero
// belongs to, and as the places that are read even when the launcher vouches for a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stage1 {

struct BackupPlace {
    uint64_t offset = 0;     // of the copy, bytes from the start of the device
    uint32_t magic_at = 0;   // of the magic within the copy
    std::string_view magic;  // empty: a place without one, only read
    std::string what;        // `an ext2/3/4 backup superblock`
    std::string remedy;      // what its owner would do now; may be empty
};

// All that lie on a device of this size, in the order of their offsets.
std::vector<BackupPlace> backup_places(uint64_t size_bytes);

// Reads them on `fd`: `an ext2/3/4 backup superblock at byte 134217728 (try …)`; empty when no place has its magic.
std::string name_remains(int fd, uint64_t size_bytes);

}  // namespace stage1
