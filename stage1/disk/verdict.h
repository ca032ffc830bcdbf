// The rule for disks, pure: facts about a disk → what may be done to it. A disk is formatted only if nothing known is on it and
// every byte that had to be read (zero_scan.h) was read and is zero. When in doubt, refuse and say why.
//
// The steps of a format: write the intent, flush, write the whole image, flush, clear the intent (write_image.h). Nobody mounts
// the disk before that. So on the next boot
//   no intent                                       → the format had not begun, or had ended
//   intent, and nothing or our torn superblock      → compare with the image, then finish it or refuse
//   intent, and a sound ext4 with the intent's UUID → compare likewise. Only parts of the image on the disk: finish it. More:
//                                                      the format was complete and in use: clear the intent, keep the disk
#pragma once

#include <optional>
#include <string>

#include "mounts/devices/device.h"
#include "stage1/disk/ext4_image.h"
#include "stage1/disk/zero_scan.h"

namespace stage1 {

inline constexpr uint64_t smallest_disk_bytes = uint64_t{8} << 20;  // ext4 needs more than this for its journal

struct DiskFacts {
    mounts::DeviceIdentity identity;
    bool read_only = false;
    mounts::Signature signature;
    std::optional<Ext4Recipe> intent;    // the intent in sector 0, if it is valid
    std::optional<Emptiness> emptiness;  // absent: the disk was not read yet, because that takes time
    std::string partitions;              // the partitions and what is on them; empty: the kernel shows none
    std::string remains;                 // what the first foreign byte belongs to, if known
};

enum class Action {
    keep,          // it holds a file system
    clear_intent,  // our format was complete, except for clearing the intent
    examine,       // read the disk, then decide again with `emptiness`
    format,
    finish,  // our format was interrupted
    refuse,
};

struct Verdict {
    Action action = Action::refuse;
    std::string reason;  // for refuse: why, and what to do, in one line
};

Verdict decide(const DiskFacts &facts);

}  // namespace stage1
