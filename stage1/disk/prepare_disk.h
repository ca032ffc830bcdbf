// Prepares the root disk or leaves it alone: opens it exclusively, gathers facts, decides (verdict.h) and acts. `stage1
// devices` and `stage1 init` use only this function. Safe to run twice. Needs /proc, and /dev with the device.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/protocol.h"
#include "stage1/disk/zero_scan.h"

namespace stage1 {

struct DiskRequest {
    std::string device{mounts::protocol::default_root_device};
    std::string label{mounts::protocol::root_label};  // of a new ext4; at most 16 bytes
    std::string uuid{};                               // of a new ext4; empty: random
    bool dry_run = false;                             // only opens for reading and says what would be done
    // The launcher vouches that nothing was ever written to the image. The disk is then probed as usual, but not read to its
    // end (zero_scan.h).
    bool vouched = false;
    ScanProgress progress{};  // of reading it, where that takes long
};

struct DiskOutcome {
    enum class What { kept, formatted, finished };  // finished: a format that had been interrupted
    What what = What::kept;
    std::string type, uuid, label;
    std::string description;  // such as `formatted ext4 UUID=… LABEL=nixos`; `would format …` in a dry run
};

// An Error means that the disk was refused and nothing was changed, or that a write failed and the next run starts over.
base::Result<DiskOutcome> prepare_disk(const DiskRequest &request);

}  // namespace stage1
