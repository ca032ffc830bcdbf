// Every kind of disk with content, on a real loop device: it is refused or kept, and no byte changes.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/devices/device.h"
#include "stage1/disk/prepare_disk.h"
#include "tests/support/disk.h"
#include "tests/support/plain_probe.h"

namespace {

constexpr uint64_t KiB = 1024;
constexpr uint64_t MiB = 1024 * KiB;
using Words = std::vector<std::string>;

// Runs a tool that must succeed. Skips the test if the tool is not installed.
void tool(const Words &argv) {
    base::Command command{.argv = argv};
    command.environment = Words{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    command.capture_output = true;
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    const auto exit = base::run(command);
    if (!exit) SKIP(base::message(exit.error()) << " (make test-unit installs it)");
    INFO(argv[0] << ": " << exit->output);
    REQUIRE(exit->status == 0);
}

struct Case {
    std::string name;
    uint64_t size_bytes;
    std::function<void(const std::string &image)> make;
    std::string expected;  // a part of `kept …` or of the refusal
};

std::function<void(const std::string &)> by(const Words &argv) {
    return [argv](const std::string &image) {
        Words words = argv;
        for (std::string &word : words)
            if (word == "@") word = image;
        tool(words);
    };
}

std::function<void(const std::string &)> both(const std::function<void(const std::string &)> &a,
                                              const std::function<void(const std::string &)> &b) {
    return [a, b](const std::string &image) {
        a(image);
        b(image);
    };
}

std::function<void(const std::string &)> put(uint64_t offset, const std::string &bytes) {
    return [=](const std::string &image) { support::write_bytes(image, offset, bytes); };
}

std::function<void(const std::string &)> zero(uint64_t offset, uint64_t length) {
    return [=](const std::string &image) { support::punch_hole(image, offset, length); };
}

template <class T>
std::string raw(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

// mdp_superblock_1 of the kernel's md_p.h for one device of a RAID 1, with the checksum of md.c's calc_sb_1_csum.
std::string md_1(uint64_t super_sector) {
    std::array<uint32_t, 65> words{};
    words[0] = 0xa92b4efc;
    words[1] = 1;
    words[4] = words[5] = 0x12345678;  // set_uuid
    words[18] = 1;                     // level
    words[23] = 2;                     // raid_disks
    words[36] = static_cast<uint32_t>(super_sector);
    words[37] = static_cast<uint32_t>(super_sector >> 32);
    words[55] = 2;           // max_dev: two roles of two bytes after byte 256
    words[64] = 0x00010000;  // roles 0 and 1
    uint64_t sum = 0;
    for (const uint32_t word : words) sum += word;
    words[54] = static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32));
    return raw(words);
}

std::string md_0_90() {
    std::array<uint32_t, 1024> words{};
    words[0] = 0xa92b4efc;
    words[1] = 0;
    words[2] = 90;
    words[5] = 0x12345678;  // set_uuid0
    words[7] = 1;           // level
    words[9] = words[10] = 2;
    return raw(words);
}

std::function<void(const std::string &)> zfs(const std::vector<uint64_t> &labels) {
    return [=](const std::string &image) {
        for (const uint64_t label : labels)
            for (uint64_t block = 0; block < 8; ++block)
                support::write_bytes(image, label + 128 * KiB + block * KiB, raw(uint64_t{0x00bab10c}) + raw(uint64_t{5000}));
    };
}

std::string big_endian(uint64_t value, size_t size) {
    std::string bytes;
    while (size-- > 0) bytes += static_cast<char>(value >> 8 * size);
    return bytes;
}

// The list in a label of a pool that was never exported, in XDR (ZFS On-Disk Specification, 1.3).
std::string zfs_list() {
    const auto pair = [](std::string name, uint64_t value) {
        const std::string length = big_endian(name.size(), 4);
        name.resize((name.size() + 3) / 4 * 4);
        const std::string rest = length + name + big_endian(8, 4) + big_endian(1, 4) + big_endian(value, 8);
        return big_endian(8 + rest.size(), 4) + big_endian(32, 4) + rest;
    };
    return "\x01\x01" + std::string(10, '\0') + pair("state", 0) + pair("txg", 4) + pair("guid", 0x1234567890) +
           std::string(8, '\0');
}

// The header of a log record (Linux, fs/xfs/libxfs/xfs_log_format.h): magic, version 2, a length, the format at 300.
std::string xfs_record() {
    return big_endian(0xfeedbabe, 4) + big_endian(1, 4) + big_endian(2, 4) + big_endian(512, 4) + std::string(284, '\0') +
           big_endian(1, 4) + std::string(16, 'u');
}

std::function<void(const std::string &)> lvm() {
    return [](const std::string &image) {
        const support::LoopDevice loop(image);
        // --devices keeps it from scanning all devices of this machine.
        tool({"pvcreate", "-ff", "-y", "--devices", loop.path(), "--config",
              "global{locking_type=1 use_lvmpolld=0} activation{udev_sync=0 udev_rules=0}", loop.path()});
    };
}

// A directory with a file, made into an image by a tool that writes a new file.
std::function<void(const std::string &)> packed(const Words &argv) {
    return [argv](const std::string &image) {
        const support::ScratchDirectory scratch;
        support::make_sparse_file(scratch.path("content"), 300 * KiB);
        support::write_bytes(scratch.path("content"), 1000, "something");
        const std::string out = scratch.path("packed");
        Words words = argv;
        for (std::string &word : words) {
            if (word == "@") word = out;
            if (word == "FILE") word = scratch.path("content");
        }
        tool(words);
        std::ifstream file(out, std::ios::binary);
        support::write_bytes(image, 0, std::string(std::istreambuf_iterator<char>(file), {}));
    };
}

std::string random_bytes(size_t count) {
    std::mt19937 generator(20130713);
    std::string bytes(count, '\0');
    for (char &c : bytes) c = static_cast<char>(generator());
    return bytes;
}

std::vector<Case> file_systems() {
    const auto ext4 = by({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "@"});
    const auto btrfs = by({"mkfs.btrfs", "-q", "@"});
    const auto fat = by({"mkfs.vfat", "-F", "32", "@"});
    return {
        {"a sound ext4", 256 * MiB, ext4, "kept ext4 UUID="},
        {"ext4 with a journal to be recovered", 256 * MiB, both(ext4, by({"debugfs", "-w", "-R", "feature needs_recovery", "@"})),
         "kept ext4 UUID="},
        {"ext4 with a bad superblock checksum", 256 * MiB, both(ext4, put(1024 + 0x3fc, "\x01\x02\x03\x04")),
         "(superblock checksum wrong); repair it with e2fsck"},
        {"ext4 with its primary superblock zeroed", 256 * MiB, both(ext4, zero(1024, 1024)),
         "an ext2/3/4 backup superblock at byte"},
        {"ext4 with its first MiB zeroed", 256 * MiB, both(ext4, zero(0, MiB)),
         "an ext2/3/4 backup superblock at byte 134217728"},
        {"ext4 with 1 KiB blocks and its first MiB zeroed", 64 * MiB,
         both(by({"mke2fs", "-q", "-F", "-t", "ext4", "@"}), zero(0, MiB)), "an ext2/3/4 backup superblock at byte 8389632"},
        {"ext2", 64 * MiB, by({"mke2fs", "-q", "-F", "-t", "ext2", "@"}), "kept ext2 UUID="},
        {"ext3", 64 * MiB, by({"mke2fs", "-q", "-F", "-t", "ext3", "@"}), "kept ext3 UUID="},
        {"xfs", 320 * MiB, by({"mkfs.xfs", "-q", "@"}), "kept xfs UUID="},
        {"xfs with its first MiB zeroed", 320 * MiB, both(by({"mkfs.xfs", "-q", "@"}), zero(0, MiB)),
         "an XFS secondary superblock at byte"},
        {"btrfs", 256 * MiB, btrfs, "kept btrfs UUID="},
        {"btrfs with only its mirror left", 256 * MiB, both(both(btrfs, zero(0, 64 * MiB)), zero(64 * MiB + 4 * KiB, 188 * MiB)),
         "a btrfs superblock mirror at byte 67108864"},
        {"f2fs", 128 * MiB, by({"mkfs.f2fs", "-q", "@"}), "kept f2fs UUID="},
        {"vfat", 64 * MiB, fat, "kept vfat UUID="},
        {"vfat with its boot sector zeroed", 64 * MiB, both(fat, zero(0, 512)), "a FAT32 backup boot sector at byte 3072"},
        {"ntfs", 64 * MiB, by({"mkfs.ntfs", "-F", "-Q", "-q", "@"}), "kept ntfs UUID="},
        {"ntfs with its boot sector zeroed", 64 * MiB, both(by({"mkfs.ntfs", "-F", "-Q", "-q", "@"}), zero(0, 512)),
         "it is not empty"},
        {"squashfs", 64 * MiB, packed({"mksquashfs", "FILE", "@", "-quiet", "-no-progress"}), "kept squashfs"},
        {"erofs", 64 * MiB,
         [](const std::string &image) {
             const support::ScratchDirectory scratch;
             const support::ScratchDirectory content;
             tool({"mkfs.erofs", scratch.path("packed"), content.path()});
             std::ifstream file(scratch.path("packed"), std::ios::binary);
             support::write_bytes(image, 0, std::string(std::istreambuf_iterator<char>(file), {}));
         },
         "kept erofs UUID="},
        {"an ISO image", 64 * MiB, packed({"xorriso", "-as", "mkisofs", "-quiet", "-o", "@", "FILE"}), "kept iso9660"},
    };
}

std::vector<Case> containers() {
    const Words luks{"cryptsetup", "luksFormat", "-q",         "--pbkdf", "pbkdf2", "--pbkdf-force-iterations",
                     "1000",       "--key-file", "/etc/passwd"};
    const auto luks_of = [&](const char *type) {
        Words words = luks;
        words.insert(words.end(), {"--type", type, "@"});
        return by(words);
    };
    const auto gpt = by({"sgdisk", "-n", "1:0:0", "@"});
    return {
        {"LUKS1", 64 * MiB, luks_of("luks1"), "it holds crypto_LUKS UUID="},
        {"LUKS2", 64 * MiB, luks_of("luks2"), "it holds crypto_LUKS UUID="},
        {"LUKS2 with its primary header zeroed", 64 * MiB, both(luks_of("luks2"), zero(0, 16 * KiB)), "use disk"},
        {"LUKS1 with its header zeroed", 64 * MiB, both(luks_of("luks1"), zero(0, 4 * KiB)), "it is not empty"},
        {"swap", 64 * MiB, by({"mkswap", "@"}), "it holds swap UUID="},
        {"an LVM physical volume", 64 * MiB, lvm(), "it holds LVM2_member UUID="},
        {"md RAID 0.90", 64 * MiB, put(64 * MiB - 64 * KiB, md_0_90()), "it holds linux_raid_member UUID="},
        {"md RAID 1.0", 64 * MiB, put(64 * MiB - 8 * KiB, md_1(131072 - 16)), "it holds linux_raid_member UUID="},
        {"md RAID 1.1", 64 * MiB, put(0, md_1(0)), "it holds linux_raid_member UUID="},
        {"md RAID 1.2", 64 * MiB, put(4 * KiB, md_1(8)), "it holds linux_raid_member UUID="},
        {"md RAID 1.0 with a wrong checksum", 64 * MiB,
         both(put(64 * MiB - 8 * KiB, md_1(131072 - 16)), put(64 * MiB - 8 * KiB + 100, "x")), "use disk"},
        {"GPT with a partition", 64 * MiB, gpt, "it holds a gpt partition table; name one of its partitions"},
        {"GPT without partitions", 64 * MiB, by({"sgdisk", "-o", "@"}), "it holds a gpt partition table"},
        {"GPT of which only the backup is left", 64 * MiB, both(gpt, zero(0, MiB)), "a backup GPT at byte 67108352"},
        {"MBR with a partition", 64 * MiB,
         put(0x1be, std::string("\x00\x20\x21\x00\x83\x28\x20\x08\x00\x08\x00\x00\x00\xf8\x01\x00", 16) + std::string(48, '\0') +
                        "\x55\xaa"),
         "it holds a dos partition table"},
        {"MBR without partitions", 64 * MiB, put(0x1b8, raw(0x1badcafeU) + std::string(66, '\0') + "\x55\xaa"),
         "it holds a dos partition table"},
        {"all four ZFS labels", 64 * MiB, zfs({0, 256 * KiB, 64 * MiB - 512 * KiB, 64 * MiB - 256 * KiB}),
         "a ZFS label at byte 0; zpool import shows its pool"},
        {"the list of the first ZFS label", 64 * MiB, put(16 * KiB, zfs_list()), "kept zfs_member"},
        {"the list of the second ZFS label", 64 * MiB, put(272 * KiB, zfs_list()), "kept zfs_member"},
        {"the list of the third ZFS label", 64 * MiB, put(64 * MiB - 496 * KiB, zfs_list()), "kept zfs_member"},
        {"the list of the fourth ZFS label", 64 * MiB, put(64 * MiB - 240 * KiB, zfs_list()), "kept zfs_member"},
        {"the list of the third ZFS label of an odd disk", 64 * MiB + 4 * KiB, put(64 * MiB - 496 * KiB, zfs_list()),
         "kept zfs_member"},
        {"the list of the fourth ZFS label of a very odd disk", 64 * MiB + 252 * KiB, put(64 * MiB - 240 * KiB, zfs_list()),
         "kept zfs_member"},
        {"ext4 and a ZFS label at once", 64 * MiB,
         both(by({"mke2fs", "-q", "-F", "-t", "ext4", "@"}), put(64 * MiB - 240 * KiB, zfs_list())), "several"},
        {"an external log of XFS", 64 * MiB, put(0, xfs_record()), "it holds xfs_external_log"},
        {"an external log of XFS whose first record is the last that is looked at", 64 * MiB, put(256 * KiB - 512, xfs_record()),
         "it holds xfs_external_log"},
        {"ext4 and an external log of XFS at once", 64 * MiB,
         both(by({"mke2fs", "-q", "-F", "-t", "ext4", "@"}), put(200 * KiB, xfs_record())), "several"},
        {"the last ZFS label alone", 64 * MiB, zfs({64 * MiB - 256 * KiB}), "use disk"},
        {"bcache", 64 * MiB,
         [](const std::string &image) {
             const support::LoopDevice loop(image);
             tool({"make-bcache", "-B", loop.path()});
         },
         "it holds bcache UUID="},
        {"ext4 and swap at once", 64 * MiB, both(by({"mkswap", "@"}), put(1024 + 56, "\x53\xef")), "use disk"},
    };
}

std::vector<Case> odds() {
    return {
        {"random bytes", 64 * MiB, put(0, random_bytes(2 * MiB)), "it is not empty, though nothing known is on it"},
        {"a tar file", 64 * MiB, packed({"tar", "--format=gnu", "-C", "/", "-cf", "@", "etc/passwd"}), "it is not empty"},
        {"one byte set at the start", 64 * MiB, put(0, "x"), "byte 0 is the first that is not zero"},
        {"one byte set in the middle", 64 * MiB, put(32 * MiB + 12345, "x"), "byte 33566777 is the first that is not zero"},
        {"one byte set at the end", 64 * MiB, put(64 * MiB - 1, "x"), "byte 67108863 is the first that is not zero"},
    };
}

// Our optimizations of the probe must not change its result.
void check_probe(const std::string &device) {
    const auto fd = base::open_at(AT_FDCWD, device, O_RDONLY);
    REQUIRE(fd);
    const auto found = mounts::probe(fd->get(), device);
    REQUIRE(found);
    mounts::Signature expected = support::plain_probe(fd->get());
    expected.code = found->code;
    CHECK(*found == expected);
}

void check(const Case &disk, bool vouched = false) {
    if (const std::string missing = support::loop_devices_missing(); !missing.empty()) SKIP(missing);
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    support::make_sparse_file(image, disk.size_bytes);
    disk.make(image);
    const uint64_t before = support::fingerprint(image);
    for (const bool dry_run : {true, false}) {
        const support::LoopDevice loop(image);
        check_probe(loop.path());
        const auto outcome = stage1::prepare_disk({.device = loop.path(), .dry_run = dry_run, .vouched = vouched});
        const std::string said = outcome ? outcome->description : base::message(outcome.error());
        INFO(disk.name << ": " << said);
        if (!dry_run || !outcome) CHECK_THAT(said, Catch::Matchers::ContainsSubstring(disk.expected));
        CHECK((outcome.has_value() ? outcome->what == stage1::DiskOutcome::What::kept : said.starts_with("use disk '")));
    }
    CHECK(support::fingerprint(image) == before);
}

}  // namespace

TEST_CASE("a disk with a file system is left as it is, whole or damaged", "[disk]") {
    for (const Case &disk : file_systems()) DYNAMIC_SECTION(disk.name) {
            check(disk);
        }
}

TEST_CASE("a disk that is part of something else is left as it is", "[disk]") {
    for (const Case &disk : containers()) DYNAMIC_SECTION(disk.name) {
            check(disk);
        }
}

TEST_CASE("a disk with bytes that mean nothing to us is left as it is", "[disk]") {
    for (const Case &disk : odds()) DYNAMIC_SECTION(disk.name) {
            check(disk);
        }
}

TEST_CASE("being vouched for does not get a disk with a known signature or backup formatted", "[disk]") {
    for (const Case &disk : file_systems()) DYNAMIC_SECTION(disk.name) {
            check(disk, true);
        }
    for (const Case &disk : containers()) DYNAMIC_SECTION(disk.name) {
            check(disk, true);
        }
}

TEST_CASE("the first byte that is not zero is the one that is named, whichever of two readers is faster", "[disk]") {
    if (const std::string missing = support::loop_devices_missing(); !missing.empty()) SKIP(missing);
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    support::make_sparse_file(image, 64 * MiB);
    for (uint64_t at = 5 * MiB + 7; at < 60 * MiB; at += MiB) support::write_bytes(image, at, "x");
    for (int i = 0; i < 20; ++i) {
        const support::LoopDevice loop(image);
        const auto refused = stage1::prepare_disk({.device = loop.path()});
        REQUIRE_FALSE(refused);
        CHECK_THAT(base::message(refused.error()),
                   Catch::Matchers::ContainsSubstring("byte 5242887 is the first that is not zero"));
    }
}
