// A block device as facts: who it is (DeviceIdentity) and what is on it (Signature, by libblkid on an open descriptor).
//
// "blkid printed nothing" is not "empty": a Signature keeps apart nothing found, several things found, and an error
// while reading (libblkid, blkid_do_safeprobe()). Both chains are asked, superblocks (those with a wrong checksum too)
// and partition tables. Nothing here writes, and no cache file is read or made.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace mounts {

// Equal identities are the same medium: a number that was given to another disk meanwhile has another sequence.
struct DeviceIdentity {
    dev_t number = 0;
    uint64_t size_bytes = 0;    // BLKGETSIZE64
    uint32_t sector_bytes = 0;  // BLKSSZGET, the logical sector
    uint64_t sequence = 0;      // BLKGETDISKSEQ; 0 before Linux 5.15
    bool operator==(const DeviceIdentity &) const = default;
};

// ENOTBLK when `fd` is no block device. `name` is for the message only.
base::Result<DeviceIdentity> identify(int fd, std::string_view name);

struct Signature {
    enum class Outcome { nothing, found, ambivalent, unreadable };
    Outcome outcome = Outcome::nothing;
    int code = 0;                 // errno of unreadable; 0 when libblkid told none
    std::string type;             // ext4, crypto_LUKS, …; empty: no superblock
    std::string usage;            // libblkid's: filesystem, raid, crypto, other
    std::string label, uuid;      // empty: none
    std::string partition_table;  // gpt, dos, …; empty: none
    bool bad_checksum = false;    // the superblock of `type` has a wrong checksum
    bool operator==(const Signature &) const = default;
};

// Probes the whole device that is open as `fd`. What goes wrong while reading is an outcome, not an Error.
base::Result<Signature> probe(int fd, std::string_view name);

// `ext4 UUID=… LABEL=…`, `gpt partition table`, `nothing known`, `several signatures at once`, `unreadable: …`.
std::string describe(const Signature &signature);

// A partition's own identity, from the table of the disk that it lies on; both empty for what is no partition.
struct PartitionEntry {
    std::string uuid, label;
};
PartitionEntry partition_entry(int fd);

// 536870912 → `512 MiB`; what is no whole number of a unit gets one decimal, below 1 KiB: `100 bytes`.
std::string size_text(uint64_t bytes);

}  // namespace mounts
