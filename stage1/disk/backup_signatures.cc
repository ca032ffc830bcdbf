#include "stage1/disk/backup_signatures.h"

#include <unistd.h>

#include <algorithm>
#include <format>
#include <utility>

namespace stage1 {

namespace {

using namespace std::string_view_literals;

constexpr uint64_t KiB = 1024;
constexpr uint64_t MiB = 1024 * KiB;
constexpr uint64_t GiB = 1024 * MiB;

// ext2/3/4 with sparse_super: groups 1 and the powers of 3, 5 and 7 (Documentation/filesystems/ext4/super.rst). A group has as
// many blocks as a block has bits. With 1 KiB blocks, the first group begins at block 1.
void add_ext(std::vector<BackupPlace> &places, uint64_t size) {
    for (const uint64_t block : {KiB, 2 * KiB, 4 * KiB, 64 * KiB}) {
        const uint64_t group_blocks = 8 * block;
        const auto add = [&](uint64_t group) {
            const uint64_t number = group * group_blocks + (block == KiB ? 1 : 0);
            places.push_back({number * block, 56, "\x53\xef"sv, "an ext2/3/4 backup superblock",
                              std::format("e2fsck -b {} -B {} may bring the file system back", number, block)});
        };
        add(1);
        for (const uint64_t base : {3U, 5U, 7U})
            for (uint64_t group = base; group * group_blocks * block < size; group *= base) add(group);
    }
}

// cryptsetup, LUKS2 on-disk format 1.1, chapter 2: the possible offsets of the secondary header.
void add_luks2(std::vector<BackupPlace> &places) {
    for (uint64_t offset = 16 * KiB; offset <= 4 * MiB; offset *= 2)
        places.push_back({offset, 0, "SKUL\xba\xbe"sv, "a LUKS2 secondary header", "cryptsetup repair may bring it back"});
}

// Linux md: 0.90 is at the second-to-last 64 KiB boundary, 1.0 at least 8 KiB before the end (drivers/md/md.c).
void add_md(std::vector<BackupPlace> &places, uint64_t size) {
    const uint64_t old = (size & ~(64 * KiB - 1)) - 64 * KiB;
    const uint64_t sector = (size / 512 - 16) & ~uint64_t{7};
    places.push_back({old, 0, "\xfc\x4e\x2b\xa9"sv, "an md RAID 0.90 superblock", "mdadm --examine shows it"});
    places.push_back({sector * 512, 0, "\xfc\x4e\x2b\xa9"sv, "an md RAID 1.0 superblock", "mdadm --examine shows it"});
}

// Four labels of 256 KiB, two at each end, each with an array of uberblocks at 128 KiB (ZFS On-Disk Specification, 1.2).
void add_zfs(std::vector<BackupPlace> &places, uint64_t size) {
    const uint64_t end = size & ~(256 * KiB - 1);
    for (const uint64_t label : {uint64_t{0}, 256 * KiB, end - 512 * KiB, end - 256 * KiB})
        places.push_back({label, 128 * KiB, "\x0c\xb1\xba\x00\x00\x00\x00\x00"sv, "a ZFS label", "zpool import shows its pool"});
}

}  // namespace

std::vector<BackupPlace> backup_places(uint64_t size) {
    std::vector<BackupPlace> places;
    add_ext(places, size);
    // btrfs: fs/btrfs/disk-io.h, btrfs_sb_offset().
    for (const uint64_t offset : {64 * MiB, 256 * GiB})
        places.push_back({offset, 64, "_BHRfS_M"sv, "a btrfs superblock mirror", "btrfs rescue super-recover may bring it back"});
    add_luks2(places);
    if (size >= MiB) {
        add_md(places, size);
        add_zfs(places, size);
        for (const uint64_t sector : {uint64_t{512}, 4 * KiB})
            places.push_back({size - sector, 0, "EFI PART"sv, "a backup GPT", "sgdisk or gdisk can restore the table"});
        places.push_back({size - 512, 3, "NTFS    "sv, "an NTFS backup boot sector", "ntfsfix or testdisk may restore it"});
        places.push_back({size - KiB, 0, "H+"sv, "an HFS+ alternate volume header", ""});
        // mkfs.xfs makes four allocation groups, and each begins with a superblock.
        for (const uint64_t quarter : {1U, 2U, 3U})
            places.push_back({size / 4 / (4 * KiB) * (4 * KiB) * quarter, 0, "XFSB"sv, "an XFS secondary superblock",
                              "xfs_repair may bring the file system back"});
    }
    places.push_back({5 * KiB, 0, "\x10\x20\xf5\xf2"sv, "an f2fs second superblock", "fsck.f2fs may bring it back"});
    places.push_back({uint64_t{6} * 512, 82, "FAT32   "sv, "a FAT32 backup boot sector", "fsck.vfat may restore it"});
    places.push_back({uint64_t{12} * 512, 3, "EXFAT   "sv, "an exFAT backup boot sector", "fsck.exfat may restore it"});
    std::erase_if(places, [&](const BackupPlace &p) { return p.offset + p.magic_at + p.magic.size() > size; });
    std::ranges::stable_sort(places, {}, &BackupPlace::offset);
    return places;
}

std::string name_remains(int fd, uint64_t size_bytes) {
    for (const BackupPlace &place : backup_places(size_bytes)) {
        std::string bytes(place.magic.size(), '\0');
        const auto at = static_cast<off_t>(place.offset + place.magic_at);
        if (::pread(fd, bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size()) || bytes != place.magic) continue;
        std::string text = std::format("{} at byte {}", place.what, place.offset);
        return place.remedy.empty() ? text : text + "; " + place.remedy;
    }
    return {};
}

}  // namespace stage1
