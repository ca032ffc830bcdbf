// A block device: its identity (DeviceIdentity) and its content (Signature, by libblkid on an open descriptor).
//
// No result from blkid does not mean an empty disk. A Signature therefore distinguishes nothing found, several things found,
// and a read error (libblkid, blkid_do_safeprobe()). The probe covers superblocks, including those with a wrong checksum, and
// partition tables. Nothing here writes to the device or uses blkid's cache file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace mounts {

// Equal identities mean the same medium: if the kernel reuses a number for another disk, the sequence differs.
struct DeviceIdentity {
    dev_t number = 0;
    uint64_t size_bytes = 0;    // BLKGETSIZE64
    uint32_t sector_bytes = 0;  // BLKSSZGET, the logical sector
    uint64_t sequence = 0;      // BLKGETDISKSEQ; 0 before Linux 5.15
    bool operator==(const DeviceIdentity &) const = default;
};

// ENOTBLK if `fd` is not a block device. `name` is only for the message.
base::Result<DeviceIdentity> identify(int fd, std::string_view name);

struct Signature {
    enum class Outcome { nothing, found, ambivalent, unreadable };
    Outcome outcome = Outcome::nothing;
    int code = 0;                 // errno if unreadable; 0 if libblkid set none
    std::string type;             // ext4, crypto_LUKS, …; empty: no superblock
    std::string usage;            // as libblkid says: filesystem, raid, crypto, other
    std::string label, uuid;      // empty: none
    std::string partition_table;  // gpt, dos, …; empty: none
    bool bad_checksum = false;    // the superblock of `type` has a wrong checksum
    bool operator==(const Signature &) const = default;
};

// Probes the whole device open as `fd`. A read error is an outcome, not an Error.
base::Result<Signature> probe(int fd, std::string_view name);

// `ext4 UUID=… LABEL=…`, `gpt partition table`, `nothing known`, `several signatures at once`, `unreadable: …`.
std::string describe(const Signature &signature);

// A partition's own identity, from its disk's partition table. Both are empty if the device is not a partition.
struct PartitionEntry {
    std::string uuid, label;
};
PartitionEntry partition_entry(int fd);

// 536870912 → `512 MiB`. One decimal if it is not a whole number of units; below 1 KiB: `100 bytes`.
std::string size_text(uint64_t bytes);

}  // namespace mounts
