// The root disk, made ready or left alone: opens it exclusively, gathers facts, decides (verdict.h), and does that. The
// one entry for `stage1 devices` and `stage1 init`. Safe to run twice. Needs /proc, and /dev with the device.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/protocol.h"
#include "stage1/disk/zero_scan.h"

namespace stage1 {

struct DiskRequest {
    std::string device{mounts::protocol::default_root_device};
    std::string label{mounts::protocol::root_label};  // of an ext4 that is made; at most 16 bytes
    std::string uuid{};                               // of it; empty: a random one
    bool dry_run = false;                             // opens for reading only and says what would be done
    // The launcher says that nothing was ever written to the image: the disk is probed as ever, but not read to its end
    // (emptiness.h).
    bool vouched = false;
    ScanProgress progress{};  // of reading it, where that takes long
};

struct DiskOutcome {
    enum class What { kept, formatted, finished };  // finished: a format that was cut short
    What what = What::kept;
    std::string type, uuid, label;
    std::string description;  // `formatted ext4 UUID=… LABEL=nixos`, `kept ext4 UUID=…`, `kept ext4, mounted on '/'`; `would …`
                              // of a dry run
};

// An Error: refused, and nothing was changed; or the write failed, and the next run begins again.
base::Result<DiskOutcome> prepare_disk(const DiskRequest &request);

}  // namespace stage1
