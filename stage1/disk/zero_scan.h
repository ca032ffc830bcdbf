// Checks whether anything is on a disk. Reads the disk and compares it with zeros or, after an interrupted format, with the
// image that was being written; then each sector may match either.
//
// Normally reads everything, to the last sector. If the launcher vouches that nothing was ever written to the image (it created
// the image in this run, or the image's map of clusters is empty: hostside/host/image.h), reads only the first and last MiB and
// 16 KiB at each place of a backup signature (backup_signatures.h).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "mounts/base/error.h"

namespace stage1 {

struct Range {
    uint64_t offset = 0, size_bytes = 0;
    bool operator==(const Range &) const = default;
};

// Sorted, disjoint, and aligned to 4096; the last may end at the end of the device.
std::vector<Range> ranges_to_read(uint64_t size_bytes, bool vouched);

struct Emptiness {
    enum class Outcome { empty, foreign, unreadable };
    Outcome outcome = Outcome::empty;
    uint64_t offset = 0;  // the first foreign byte, or the start of the unreadable piece
    int code = 0;         // errno if unreadable
};

// Told at each twentieth of a scan that reads more than this, by the thread that called.
inline constexpr uint64_t long_scan_bytes = uint64_t{1} << 30;
using ScanProgress = std::function<void(uint64_t read_bytes, uint64_t all_bytes)>;

// `fd`: the device, read with O_DIRECT where it can, so that the page cache stays as it was. `image`: a memfd of the same size,
// or -1. Its first 512 bytes are not compared: the intent lies there, and was checked by decoding it. An Error: the image, no
// memory.
base::Result<Emptiness> examine(int fd, const std::vector<Range> &ranges, int image, const ScanProgress &progress = {});

}  // namespace stage1
