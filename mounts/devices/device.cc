#include "mounts/devices/device.h"

#include <blkid/blkid.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <format>
#include <memory>
#include <optional>

#include "mounts/base/direct_reads.h"
#include "mounts/devices/disk_ends.h"

// linux/fs.h before 5.15 lacks this: _IOR(0x12, 128, __u64).
#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, __u64)
#endif

// Exported by every version of libblkid but not in its header (libblkid/src/blkidP.h). Reads a range into the probe's cache.
extern "C" const unsigned char *blkid_probe_get_buffer(blkid_probe handle, uint64_t offset, uint64_t length);

namespace mounts {

namespace {

using ProbeHandle = std::unique_ptr<blkid_struct_probe, decltype(&::blkid_free_probe)>;

std::string value(blkid_probe handle, const char *name) {
    const char *data = nullptr;
    size_t length = 0;  // including the NUL
    if (::blkid_probe_lookup_value(handle, name, &data, &length) != 0 || data == nullptr) return {};
    return std::string(data);
}

// offset 0 and size 0 mean the whole device
ProbeHandle open_probe(int fd) {
    ProbeHandle handle(::blkid_new_probe(), &::blkid_free_probe);
    if (handle && ::blkid_probe_set_device(handle.get(), fd, 0, 0) != 0) handle.reset();
    return handle;
}

// libblkid reads about fifty ranges one by one, each into its own mapping. It first looks in its cache, so reading both ends
// beforehand turns most of them into two requests and two mappings.
void read_ends(blkid_probe handle, uint64_t begin_bytes, uint64_t end_bytes) {
    const auto size = static_cast<uint64_t>(::blkid_probe_get_size(handle));
    if (size < begin_bytes + end_bytes) return;
    // If this fails, libblkid reads the ranges again one by one and reports the error.
    (void)::blkid_probe_get_buffer(handle, 0, begin_bytes);
    (void)::blkid_probe_get_buffer(handle, size - end_bytes, end_bytes);
}

Signature probe_with(blkid_probe handle, int fd) {
    const DiskEnds ends(fd, static_cast<uint64_t>(::blkid_probe_get_size(handle)));
    std::array<char, 11> zfs{"zfs_member"};
    std::array<char, 17> xfs_log{"xfs_external_log"};
    std::array<char *, 3> ruled_out{zfs.data(), xfs_log.data(), nullptr};
    const bool short_ends = !ends.may_be_zfs() && !ends.may_be_xfs_log();
    if (short_ends) (void)::blkid_probe_filter_superblocks_type(handle, BLKID_FLTR_NOTIN, ruled_out.data());
    read_ends(handle, short_ends ? 72 << 10 : 384 << 10, short_ends ? 132 << 10 : 512 << 10);
    ::blkid_probe_enable_superblocks(handle, 1);
    ::blkid_probe_set_superblocks_flags(handle, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL |
                                                    BLKID_SUBLKS_BADCSUM | BLKID_SUBLKS_MAGIC);
    ::blkid_probe_enable_partitions(handle, 1);
    Signature signature;
    errno = 0;
    switch (::blkid_do_safeprobe(handle)) {
    case 0: signature.outcome = Signature::Outcome::found; break;
    case 1: return signature;
    case -2: signature.outcome = Signature::Outcome::ambivalent; return signature;
    default:
        // libblkid 2.41 returns -1 for ambivalent disks too, although no system call failed.
        signature.code = errno;
        signature.outcome = signature.code == 0 ? Signature::Outcome::ambivalent : Signature::Outcome::unreadable;
        return signature;
    }
    signature.type = value(handle, "TYPE");
    signature.usage = value(handle, "USAGE");
    signature.uuid = value(handle, "UUID");
    signature.label = value(handle, "LABEL");
    signature.partition_table = value(handle, "PTTYPE");
    signature.bad_checksum = !value(handle, "SBBADCSUM").empty();
    return signature;
}

}  // namespace

base::Result<DeviceIdentity> identify(int fd, std::string_view name) {
    struct stat status{};
    if (::fstat(fd, &status) < 0) return base::fail(errno, "stat", name);
    if (!S_ISBLK(status.st_mode)) return base::fail(ENOTBLK, "identify", name);
    DeviceIdentity identity{.number = status.st_rdev};
    int sector = 0;
    if (::ioctl(fd, BLKGETSIZE64, &identity.size_bytes) < 0) return base::fail(errno, "get the size of", name);
    if (::ioctl(fd, BLKSSZGET, &sector) < 0) return base::fail(errno, "get the sector size of", name);
    identity.sector_bytes = static_cast<uint32_t>(sector);
    // Old kernels have no sequence number; then the device number, size and sector size must do.
    if (::ioctl(fd, BLKGETDISKSEQ, &identity.sequence) < 0) identity.sequence = 0;
    return identity;
}

base::Result<Signature> probe(int fd, std::string_view name) {
    std::optional<base::DirectReads> direct(fd);
    for (;;) {
        errno = 0;
        const ProbeHandle handle = open_probe(fd);
        if (!handle) return base::fail(errno != 0 ? errno : EIO, "probe", name);
        Signature signature = probe_with(handle.get(), fd);
        // libblkid reads whole sectors into its own mappings, except at the end of a device whose size is odd.
        if (signature.outcome != Signature::Outcome::unreadable || !direct) return signature;
        direct.reset();
    }
}

std::string describe(const Signature &signature) {
    switch (signature.outcome) {
    case Signature::Outcome::nothing: return "nothing known";
    case Signature::Outcome::ambivalent: return "several signatures at once";
    case Signature::Outcome::unreadable:
        return signature.code != 0 ? "unreadable: " + base::errno_text(signature.code) : "unreadable";
    case Signature::Outcome::found: break;
    }
    std::string text;
    if (!signature.type.empty()) text = signature.type;
    if (!signature.uuid.empty()) text += " UUID=" + signature.uuid;
    if (!signature.label.empty()) text += " LABEL=" + signature.label;
    if (signature.bad_checksum) text += " (superblock checksum wrong)";
    if (!signature.partition_table.empty()) {
        if (!text.empty()) text += " and ";
        text += std::format("{} partition table", signature.partition_table);
    }
    return text.empty() ? "something without a name" : text;
}

PartitionEntry partition_entry(int fd) {
    const ProbeHandle handle = open_probe(fd);
    if (!handle) return {};
    ::blkid_probe_enable_superblocks(handle.get(), 0);
    ::blkid_probe_enable_partitions(handle.get(), 1);
    ::blkid_probe_set_partitions_flags(handle.get(), BLKID_PARTS_ENTRY_DETAILS);
    if (::blkid_do_safeprobe(handle.get()) != 0) return {};
    return {.uuid = value(handle.get(), "PART_ENTRY_UUID"), .label = value(handle.get(), "PART_ENTRY_NAME")};
}

std::string size_text(uint64_t bytes) {
    static constexpr std::array<const char *, 7> units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t divisor = 1;
    while (unit + 1 < units.size() && bytes / divisor >= 1024) {
        divisor *= 1024;
        ++unit;
    }
    if (bytes % divisor == 0) return std::format("{} {}", bytes / divisor, units[unit]);
    return std::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(divisor), units[unit]);
}

}  // namespace mounts
