// A power cut at any write of a registration, on a real ext4 whose disk loses unflushed data: the next boot finds the database
// in its old or its new state, and loads the complete registration.
#include <sys/mount.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <memory>
#include <random>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "stage1/nixdb/register_closure.h"
#include "tests/support/disk.h"
#include "tests/support/faulty_file.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::entry;
using Record = std::vector<support::RecordedWrite>;

constexpr uint64_t disk_bytes = uint64_t{32} << 20;
constexpr size_t paths = 300;

std::string registration(size_t first) {
    std::string text;
    for (size_t n = first; n < first + paths; ++n) text += n > first + 2 ? entry(n, {n - 1, n - 2, n}) : entry(n);
    return text;
}

// An ext4 in an image, mounted for this object's lifetime.
class Mounted {
  public:
    explicit Mounted(const std::string &device) : device_(device) {
        if (::mount(device.c_str(), scratch_.path().c_str(), "ext4", 0, "") < 0) FAIL("mount " << device << ": errno " << errno);
    }
    Mounted(const Mounted &) = delete;
    Mounted &operator=(const Mounted &) = delete;
    ~Mounted() { CHECK(::umount(scratch_.path().c_str()) == 0); }

    // The registration as in stage 1.
    auto load(const std::string &text) const {
        const support::ScratchDirectory initrd;
        REQUIRE(base::replace_file(initrd.path("reg"), text));
        return stage1::nixdb::register_closure({.target_root = scratch_.path(), .reginfo = initrd.path("reg")});
    }
    std::string query(const std::string &sql) const { return nix_test::query(scratch_.path("nix/var/nix/db/db.sqlite"), sql); }
    // A file that stage 2 syncs. The file system's journal then has the names of all earlier files, but not their contents.
    void sync_another_file() const { REQUIRE(base::replace_file(scratch_.path("another"), "x")); }
    bool has_database() const { return fs::exists(scratch_.path("nix/var/nix/db/db.sqlite")); }

  private:
    support::ScratchDirectory scratch_;
    std::string device_;
};

// The writes of one boot's registration of `text`, on a copy of `image`.
Record record_of_a_load(const std::string &image, const std::string &text) {
    const support::ScratchDirectory scratch;
    fs::copy_file(image, scratch.path("copy"));
    fs::create_directory(scratch.path("mount"));
    const support::FaultyFile file(scratch.path("copy"), scratch.path("mount"));
    {
        const support::LoopDevice loop(file.path());
        const Mounted disk(loop.path());
        REQUIRE(disk.load(text));
        disk.sync_another_file();
    }
    return file.record();
}

}  // namespace

TEST_CASE("after a power cut at any write of a registration the next boot loads it whole", "[disk]") {
    if (const std::string reason = support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    if (::access("/dev/fuse", R_OK | W_OK) < 0) SKIP("no /dev/fuse here");
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    const bool existing = GENERATE(false, true);
    const support::ScratchDirectory scratch;
    const std::string image = scratch.path("image");
    support::make_sparse_file(image, disk_bytes);
    REQUIRE(base::run({.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", image}})->status == 0);
    if (existing) {
        const support::LoopDevice loop(image);
        REQUIRE(Mounted(loop.path()).load(registration(1)));
    }
    // Half of the paths come from the previous boot. The other half of that boot's paths are no longer in the closure, and
    // stay.
    const std::string text = registration(1 + paths / 2);
    const nix_test::Root whole;
    if (existing) REQUIRE(whole.load(registration(1)));
    REQUIRE(whole.load(text));
    const std::string before = std::to_string(paths), after = whole.query("select count(*) from ValidPaths");
    const Record record = record_of_a_load(image, text);
    size_t flushes = 0;
    for (const auto &write : record) flushes += write.flush ? 1 : 0;
    INFO(record.size() << " writes and flushes, " << flushes << " of them flushes");
    REQUIRE(flushes >= 2);
    std::mt19937 random(existing ? 1 : 2);
    size_t as_before = 0, as_after = 0;
    for (size_t cut_at = 0; cut_at <= record.size(); ++cut_at) {
        const std::string cut = scratch.path("cut");
        fs::copy_file(image, cut, fs::copy_options::overwrite_existing);
        // Sectors as large as ext4's blocks, because a torn superblock is not the subject here.
        support::replay_cut(record, cut_at, cut, random, 4096);
        const support::LoopDevice loop(cut);
        const Mounted disk(loop.path());
        INFO("cut at " << cut_at);
        // Every other time, checks what Nix would find if stage 1 skipped the registration.
        if (cut_at % 2 == 0 && disk.has_database()) {
            const std::string rows = disk.query("select count(*) from ValidPaths");
            CHECK((rows == after || (existing && rows == before)));
            CHECK(disk.query("pragma integrity_check") == "ok");
            (rows == after ? as_after : as_before) += 1;
        }
        const auto report = disk.load(text);
        INFO((report ? describe(*report) : message(report.error())));
        REQUIRE(report);
        CHECK(disk.query("select count(*) from ValidPaths") == after);
        CHECK(disk.query("select count(*) from Refs") == whole.query("select count(*) from Refs"));
        CHECK(disk.query("pragma integrity_check") == "ok");
        CHECK(disk.query("pragma foreign_key_check").empty());
    }
    CHECK(as_after > 0);
    if (existing) CHECK(as_before > 0);
}
