// What is formatted, and how, and what never is because it can't serve as a disk.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <set>
#include <sstream>
#include <string>

#include "mounts/base/process.h"
#include "stage1/disk/open_disk.h"
#include "stage1/disk/prepare_disk.h"
#include "stage1/steps/check_file_system.h"
#include "tests/support/disk.h"

namespace {

constexpr uint64_t MiB = uint64_t{1} << 20;
using What = stage1::DiskOutcome::What;

#define NEEDS_LOOP_DEVICES() \
    if (const std::string missing = support::loop_devices_missing(); !missing.empty()) SKIP(missing)

base::Exit run(std::vector<std::string> argv) {
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    base::Command command{.argv = std::move(argv)};
    command.capture_output = true;
    const auto exit = base::run(command);
    REQUIRE(exit);
    return *exit;
}

std::string refusal(const stage1::DiskRequest &request) {
    const auto outcome = stage1::prepare_disk(request);
    return outcome ? "not refused: " + outcome->description : base::message(outcome.error());
}

// `Filesystem features`, `Reserved block count`, …: the lines of dumpe2fs that show how an ext4 was made.
std::set<std::string> layout(const std::string &image) {
    std::istringstream lines(run({"dumpe2fs", "-h", image}).output);
    std::set<std::string> kept;
    for (std::string line; std::getline(lines, line);)
        for (const char *name :
             {"Filesystem features:", "Default mount options:", "Inode count:", "Block count:", "Reserved block count:",
              "Block size:", "Inode size:", "Reserved GDT blocks:", "Inodes per group:", "Flex block group size:",
              "Maximum mount count:", "Check interval:", "Errors behavior:", "Total journal size:", "Checksum type:"})
            if (line.starts_with(name)) kept.insert(line);
    return kept;
}

}  // namespace

TEST_CASE("a disk of zeros is formatted, clean, and kept from then on", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const auto [size, sector] = GENERATE(table<uint64_t, uint32_t>({{8 * MiB, 512},
                                                                    {8 * MiB, 4096},
                                                                    {64 * MiB, 512},
                                                                    {64 * MiB, 4096},
                                                                    {512 * MiB, 512},
                                                                    {512 * MiB, 4096},
                                                                    {3000 * MiB + uint64_t{512} * 7, 512}}));
    INFO(size << " bytes, sectors of " << sector);
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    support::make_sparse_file(image, size);
    const uint64_t empty = support::fingerprint(image);
    const support::LoopDevice loop(image, {.sector_bytes = sector});

    const auto planned = stage1::prepare_disk({.device = loop.path(), .dry_run = true});
    REQUIRE(planned);
    CHECK(planned->description.starts_with("would format "));
    CHECK(support::fingerprint(image) == empty);

    const auto made = stage1::prepare_disk({.device = loop.path()});
    INFO((made ? made->description : base::message(made.error())));
    REQUIRE(made);
    CHECK(made->what == What::formatted);
    CHECK(made->description.starts_with(std::format("formatted ext4 UUID={} LABEL=nixos, ", made->uuid)));
    const base::Exit checked = run({"e2fsck", "-fn", loop.path()});
    INFO(checked.output);
    CHECK(checked.status == 0);

    const uint64_t formatted = support::fingerprint(image);
    const auto again = stage1::prepare_disk({.device = loop.path()});
    REQUIRE(again);
    CHECK(again->what == What::kept);
    CHECK(again->description == std::format("kept ext4 UUID={} LABEL=nixos", made->uuid));
    CHECK(support::fingerprint(image) == formatted);
}

TEST_CASE("zeros that take room on the host are as empty as holes", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const support::ScratchDirectory scratch;
    support::make_sparse_file(scratch.path("image"), 32 * MiB);
    support::write_bytes(scratch.path("image"), 0, std::string(32 * MiB, '\0'));
    const support::LoopDevice loop(scratch.path("image"));
    const auto made = stage1::prepare_disk({.device = loop.path()});
    INFO((made ? made->description : base::message(made.error())));
    REQUIRE(made);
    CHECK(made->what == What::formatted);
    const base::Exit checked = run({"e2fsck", "-fn", loop.path()});
    INFO(checked.output);
    CHECK(checked.status == 0);
}

TEST_CASE("the ext4 that is made is laid out as `mke2fs -t ext4` of Debian 12 does it", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const auto [size, sector] =
        GENERATE(table<uint64_t, uint32_t>({{64 * MiB, 512}, {64 * MiB, 4096}, {512 * MiB, 512}, {4096 * MiB, 512}}));
    INFO(size << " bytes, sectors of " << sector);
    const support::ScratchDirectory scratch;
    for (const char *name : {"ours", "theirs"}) support::make_sparse_file(scratch.path(name), size);
    {
        const support::LoopDevice ours(scratch.path("ours"), {.sector_bytes = sector});
        REQUIRE(stage1::prepare_disk({.device = ours.path(), .vouched = true}));
        const support::LoopDevice theirs(scratch.path("theirs"), {.sector_bytes = sector});
        REQUIRE(run({"mke2fs", "-q", "-t", "ext4", theirs.path()}).status == 0);
    }
    CHECK(layout(scratch.path("ours")) == layout(scratch.path("theirs")));
}

TEST_CASE("what is no disk that could be had for itself is refused by name and left alone", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    support::make_sparse_file(image, 64 * MiB);
    const uint64_t before = support::fingerprint(image);

    SECTION("a directory") {
        CHECK(refusal({.device = scratch.path()}) ==
              std::format("use disk '{}': is a directory, not a block device; nothing was done", scratch.path()));
    }
    SECTION("a file") {
        CHECK(refusal({.device = image}) == std::format("use disk '{}': is a file, not a block device; nothing was done", image));
    }
    SECTION("a symbolic link, even to an empty disk") {
        const support::LoopDevice loop(image);
        const std::string link = scratch.path("link");
        std::filesystem::create_symlink(loop.path(), link);
        CHECK(refusal({.device = link}) ==
              std::format("use disk '{}': a symbolic link outside /dev is not followed; name the device itself", link));
    }
    SECTION("a path that isn't there") {
        CHECK(refusal({.device = scratch.path("absent")}) ==
              std::format("use disk '{}': No such file or directory", scratch.path("absent")));
    }
    SECTION("a character device") {
        CHECK(refusal({.device = "/dev/null"}) ==
              "use disk '/dev/null': is a character device, not a block device; nothing was done");
    }
    SECTION("a read-only one") {
        const support::LoopDevice loop(image, {.read_only = true});
        CHECK(refusal({.device = loop.path()}) ==
              std::format("use disk '{}': it is read-only, and no file system is known to be on it; nothing was changed",
                          loop.path()));
    }
    SECTION("one that somebody holds exclusively") {
        const support::LoopDevice loop(image);
        const base::Fd holder(::open(loop.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        REQUIRE(holder);
        CHECK(refusal({.device = loop.path()}) ==
              std::format("use disk '{}': {}; another program holds it; nothing was done", loop.path(), base::errno_text(EBUSY)));
    }
    SECTION("a label that ext4 has no room for") {
        const support::LoopDevice loop(image);
        CHECK(refusal({.device = loop.path(), .label = "seventeen letters"}) ==
              std::format("use disk '{}': the label 'seventeen letters' is longer than 16 bytes", loop.path()));
    }
    CHECK(support::fingerprint(image) == before);
}

TEST_CASE("a disk that became another one, or another size, since it was looked at is not written to", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const support::ScratchDirectory scratch;
    support::make_sparse_file(scratch.path("image"), 64 * MiB);
    const support::LoopDevice loop(scratch.path("image"));
    const auto disk = stage1::open_disk(loop.path());
    REQUIRE(disk);
    const auto planned = mounts::identify(disk->get(), loop.path());
    REQUIRE(planned);
    REQUIRE(stage1::open_for_writing(disk->get(), *planned, loop.path()));
    const std::string refused =
        std::format("use disk '{}': Stale file handle; the device was replaced or resized; try again", loop.path());
    auto exchanged = *planned;
    exchanged.sequence += 1;
    const auto another = stage1::open_for_writing(disk->get(), exchanged, loop.path());
    REQUIRE_FALSE(another);
    CHECK(base::message(another.error()) == refused);
    std::filesystem::resize_file(scratch.path("image"), 65 * MiB);
    REQUIRE(::ioctl(disk->get(), LOOP_SET_CAPACITY) == 0);
    const auto resized = stage1::open_for_writing(disk->get(), *planned, loop.path());
    REQUIRE_FALSE(resized);
    CHECK(base::message(resized.error()) == refused);
}

TEST_CASE("a mounted disk is kept, and said to be mounted", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const support::ScratchDirectory scratch;
    support::make_sparse_file(scratch.path("image"), 64 * MiB);
    const support::LoopDevice loop(scratch.path("image"));
    REQUIRE(stage1::prepare_disk({.device = loop.path()}));
    std::filesystem::create_directory(scratch.path("mounted"));
    if (::mount(loop.path().c_str(), scratch.path("mounted").c_str(), "ext4", MS_RDONLY, "noload") < 0)
        SKIP("mounting an ext4 is not allowed here: " << base::errno_text(errno));
    const auto kept = stage1::prepare_disk({.device = loop.path()});
    const auto checked = stage1::check_file_system(loop.path(), "ext4");
    REQUIRE(::umount(scratch.path("mounted").c_str()) == 0);
    REQUIRE(kept);
    CHECK(kept->description == std::format("kept ext4, mounted on '{}'", scratch.path("mounted")));
    REQUIRE(checked);
    CHECK(*checked == std::format("fsck: {} is mounted on '{}', not checked", loop.path(), scratch.path("mounted")));
}

TEST_CASE("a disk without room is refused with its size", "[disk]") {
    NEEDS_LOOP_DEVICES();
    const support::ScratchDirectory scratch;
    const auto [size, why] = GENERATE(
        table<uint64_t, std::string>({{0, "it has 0 bytes; no medium or no backing file is behind it"},
                                      {512, "512 bytes are too small for a root file system; the minimum is 8 MiB"},
                                      {8 * MiB - 512, "8.0 MiB are too small for a root file system; the minimum is 8 MiB"},
                                      {MiB, "1 MiB are too small for a root file system; the minimum is 8 MiB"}}));
    support::make_sparse_file(scratch.path("image"), size);
    const support::LoopDevice loop(scratch.path("image"));
    CHECK(refusal({.device = loop.path()}) == std::format("use disk '{}': {}; nothing was changed", loop.path(), why));
    CHECK(std::filesystem::file_size(scratch.path("image")) == size);
}
