// The disk rule, pure: what was found out about a disk → what may be done to it. A disk is formatted only if nothing is
// known to be on it and every byte that had to be read (emptiness.h) was read, as zero. When in doubt: refuse, and say why.
//
// A format goes: intent, flush, the whole of the image, flush; and then the intent is cleared (write_image.h). Nobody
// mounts it before that. So on the next boot
//   no intent                                       → the format had not begun, or had ended
//   intent, and nothing or a torn superblock of ours → examine against the image, then finish it, or refuse
//   intent, and a sound ext4 with the intent's UUID  → examine likewise: with nothing but parts of the image on the disk
//                                                      finish it; with more, it was whole and in use: clear the intent, keep
#pragma once

#include <optional>
#include <string>

#include "mounts/devices/device.h"
#include "stage1/disk/ext4_image.h"
#include "stage1/disk/zero_scan.h"

namespace stage1 {

inline constexpr uint64_t smallest_disk_bytes = uint64_t{8} << 20;  // below, ext4 has no room for its journal

struct DiskFacts {
    mounts::DeviceIdentity identity;
    bool read_only = false;
    mounts::Signature signature;
    std::optional<Ext4Recipe> intent;    // what lies in sector 0, when it is a valid one
    std::optional<Emptiness> emptiness;  // absent: not read yet, because that takes time
    std::string partitions;              // of a partition table, with what is on them; empty: the kernel shows none
    std::string remains;                 // what the first foreign byte belongs to, where that is known
};

enum class Action {
    keep,          // a file system is there
    clear_intent,  // a format of ours had come to its end but for that
    examine,       // read the disk, then decide again with `emptiness`
    format,
    finish,  // a format of ours that was cut short
    refuse,
};

struct Verdict {
    Action action = Action::refuse;
    std::string reason;  // of refuse: why and what to do, one line
};

Verdict decide(const DiskFacts &facts);

}  // namespace stage1
