// Bad disks and power cuts, under real loop devices.
#include <fcntl.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "mounts/base/process.h"
#include "stage1/disk/prepare_disk.h"
#include "tests/support/disk.h"
#include "tests/support/faulty_file.h"

namespace {

constexpr uint64_t MiB = uint64_t{1} << 20;
constexpr uint64_t disk_bytes = 64 * MiB;
using What = stage1::DiskOutcome::What;
using support::RecordedWrite;
using Record = std::vector<RecordedWrite>;

std::string missing() {
    if (auto reason = support::loop_devices_missing(); !reason.empty()) return reason;
    return ::access("/dev/fuse", R_OK | W_OK) < 0 ? "no /dev/fuse here" : std::string();
}

#define NEEDS_FAULTY_DISKS() \
    if (const std::string reason = missing(); !reason.empty()) SKIP(reason)

struct FaultyDisk {
    support::ScratchDirectory scratch;
    std::string image = scratch.path("image");
    std::unique_ptr<support::FaultyFile> file;
    std::unique_ptr<support::LoopDevice> loop;

    explicit FaultyDisk(uint32_t sector_bytes = 512, const std::function<void(const std::string &)> &fill = {}) {
        support::make_sparse_file(image, disk_bytes);
        if (fill) fill(image);
        std::filesystem::create_directory(scratch.path("mount"));
        file = std::make_unique<support::FaultyFile>(image, scratch.path("mount"));
        loop = std::make_unique<support::LoopDevice>(file->path(), support::LoopOptions{.sector_bytes = sector_bytes});
    }
    FaultyDisk(const FaultyDisk &) = delete;
    FaultyDisk &operator=(const FaultyDisk &) = delete;
    ~FaultyDisk() {
        loop.reset();
        file.reset();
    }
};

std::string said(const base::Result<stage1::DiskOutcome> &outcome) {
    return outcome ? outcome->description : base::message(outcome.error());
}

std::string run(std::vector<std::string> argv) {
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    base::Command command{.argv = std::move(argv)};
    command.capture_output = true;
    const auto exit = base::run(command);
    REQUIRE(exit);
    INFO(exit->output);
    CHECK(exit->status == 0);
    return exit->output;
}

void check_clean(const std::string &device) { (void)run({"e2fsck", "-fn", device}); }

Record record_of_a_format(uint32_t sector_bytes, const std::function<void(const std::string &)> &fill = {}) {
    FaultyDisk disk(sector_bytes, fill);
    const auto made = stage1::prepare_disk({.device = disk.loop->path()});
    INFO(said(made));
    REQUIRE(made);
    Record record = disk.file->record();
    REQUIRE(record.size() > 6);
    return record;
}

// All of a format except its last write, which clears the intent and is not flushed.
Record without_end(Record record) {
    const auto last_flush = std::ranges::find_last_if(record, &RecordedWrite::flush);
    record.erase(last_flush.begin(), record.end());
    return record;
}

void replay(const Record &record, const std::string &image) {
    support::make_sparse_file(image, disk_bytes);
    for (const RecordedWrite &write : record)
        if (!write.flush) support::write_bytes(image, write.offset, write.data);
}

}  // namespace

TEST_CASE("an empty disk that cannot be read somewhere is not formatted", "[disk]") {
    NEEDS_FAULTY_DISKS();
    FaultyDisk disk;
    const uint64_t before = support::fingerprint(disk.image);
    std::vector<uint64_t> places{0, 512, 1024, 4096, 65536, MiB, disk_bytes / 2, disk_bytes - 4096, disk_bytes - 512};
    std::mt19937 random(3);
    while (places.size() < 40) places.push_back(random() % (disk_bytes / 512) * 512);
    for (const uint64_t place : places) {
        disk.file->fail_reads(place);
        const auto outcome = stage1::prepare_disk({.device = disk.loop->path()});
        INFO(place << ": " << said(outcome));
        REQUIRE_FALSE(outcome);
        CHECK_THAT(said(outcome), Catch::Matchers::ContainsSubstring("cannot be read: "));
    }
    // The message gives the start of the 1 MiB block that contains the bad read. (Near the ends, where signatures are, libblkid
    // may find the error first and gives no position.)
    for (const uint64_t place : {20 * MiB, 20 * MiB + 512, 27 * MiB + 4096}) {
        disk.file->fail_reads(place);
        CHECK(said(stage1::prepare_disk({.device = disk.loop->path()})) ==
              std::format("use disk '{}': byte {} cannot be read: {}; what can't be read may hold data; nothing was changed",
                          disk.loop->path(), place / MiB * MiB, base::errno_text(EIO)));
    }
    CHECK(support::fingerprint(disk.image) == before);
    CHECK(std::ranges::all_of(disk.file->record(), [](const RecordedWrite &w) { return w.flush; }));
}

TEST_CASE("a format that the disk refuses to take is an error, and the next run completes it", "[disk]") {
    NEEDS_FAULTY_DISKS();
    const uint64_t place = GENERATE(uint64_t{0}, uint64_t{1024}, uint64_t{4096}, uint64_t{65536});
    FaultyDisk disk;
    disk.file->fail_writes(place);
    const auto failed = stage1::prepare_disk({.device = disk.loop->path()});
    INFO(place << ": " << said(failed));
    REQUIRE_FALSE(failed);
    CHECK(said(failed) == std::format("flush '{}': {}; the next run begins again", disk.loop->path(), base::errno_text(EIO)));
    disk.file->fail_writes({});
    disk.loop.reset();
    disk.loop = std::make_unique<support::LoopDevice>(disk.file->path());
    const auto again = stage1::prepare_disk({.device = disk.loop->path()});
    INFO(said(again));
    REQUIRE(again);
    CHECK(again->what != What::kept);
    check_clean(disk.loop->path());
}

TEST_CASE("a format cut short by a power cut is completed by the next run, wherever it was cut", "[disk]") {
    NEEDS_FAULTY_DISKS();
    const uint32_t sector = GENERATE(512U, 4096U);
    const Record record = record_of_a_format(sector);
    std::mt19937 random(sector);
    int finished = 0;
    for (int i = 0; i < 100; ++i) {
        const support::ScratchDirectory scratch;
        support::make_sparse_file(scratch.path("image"), disk_bytes);
        support::replay_cut(record, random() % (record.size() + 1), scratch.path("image"), random);
        // Every fifth disk has a second power cut during the completion.
        if (i % 5 == 0) {
            const auto cut_once = [&](const std::string &image) {
                REQUIRE(
                    std::filesystem::copy_file(scratch.path("image"), image, std::filesystem::copy_options::overwrite_existing));
            };
            FaultyDisk disk(sector, cut_once);
            (void)stage1::prepare_disk({.device = disk.loop->path()});
            const Record completion = disk.file->record();
            support::replay_cut(completion, random() % (completion.size() + 1), scratch.path("image"), random);
        }
        const support::LoopDevice loop(scratch.path("image"), {.sector_bytes = sector});
        if (i % 5 == 1) {
            const uint64_t cut = support::fingerprint(scratch.path("image"));
            CHECK(stage1::prepare_disk({.device = loop.path(), .dry_run = true}));
            CHECK(support::fingerprint(scratch.path("image")) == cut);
        }
        const auto outcome = stage1::prepare_disk({.device = loop.path()});
        INFO("cut " << i << ": " << said(outcome));
        REQUIRE(outcome);
        if (outcome->what == What::finished) ++finished;
        check_clean(loop.path());
        const auto again = stage1::prepare_disk({.device = loop.path()});
        REQUIRE(again);
        CHECK(again->description == std::format("kept ext4 UUID={} LABEL=nixos", outcome->uuid));
    }
    CHECK(finished > 20);
}

TEST_CASE("a disk on which a format was cut short and data came later is never formatted", "[disk]") {
    NEEDS_FAULTY_DISKS();
    const Record record = without_end(record_of_a_format(512));
    std::mt19937 random(11);
    for (int i = 0; i < 60; ++i) {
        const support::ScratchDirectory scratch;
        const std::string image = scratch.path("image");
        replay(record, image);
        // The superblock is missing; with it, the disk would be an ext4 and be kept.
        support::write_bytes(image, 1024, std::string(1024, '\0'));
        // One byte of data, either where the format wrote or where it did not.
        const uint64_t place = i % 2 == 0 ? 2048 + random() % 200000 : random() % disk_bytes;
        support::write_bytes(image, place, "\xa5");
        const uint64_t before = support::fingerprint(image);
        const support::LoopDevice loop(image);
        // A disk with an intent has been written to, so nobody can vouch for it.
        const auto outcome = stage1::prepare_disk({.device = loop.path(), .vouched = i % 4 < 2});
        INFO("byte " << place << ": " << said(outcome));
        CHECK_FALSE(outcome);
        CHECK_THAT(said(outcome), Catch::Matchers::ContainsSubstring("overwrite all of it with zeros (blkdiscard --zeroout)"));
        CHECK(support::fingerprint(image) == before);
    }
}

TEST_CASE("a file system that was in use before a power cut undid the last write of its format is kept, files and all",
          "[disk]") {
    NEEDS_FAULTY_DISKS();
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    replay(without_end(record_of_a_format(512)), image);
    run({"debugfs", "-w", "-R", "write /etc/passwd kept", image});
    const uint64_t used = support::fingerprint(image);
    const auto prepare = [&](bool dry_run) {
        const support::LoopDevice loop(image);
        const auto outcome = stage1::prepare_disk({.device = loop.path(), .dry_run = dry_run});
        INFO(said(outcome));
        REQUIRE(outcome);
        CHECK(outcome->what == What::kept);
        const base::Fd device(::open(loop.path().c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(::fsync(device.get()) == 0);
    };
    prepare(true);
    CHECK(support::fingerprint(image) == used);
    prepare(false);
    const uint64_t kept = support::fingerprint(image);
    CHECK(kept != used);
    prepare(false);
    CHECK(support::fingerprint(image) == kept);
    // Only the first sector changed.
    support::write_bytes(image, 0, std::string(512, '\0'));
    CHECK(support::fingerprint(image) == kept);
    check_clean(image);
    std::ifstream passwd("/etc/passwd");
    CHECK(run({"debugfs", "-R", "cat kept", image}).ends_with(std::string(std::istreambuf_iterator<char>(passwd), {})));
}
