// A rollback of the store with a power cut at any write, on a real ext4 whose disk loses unflushed data: the next boot
// completes it, upper and database together.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "stage1/base/rollback_mark.h"
#include "stage1/nixdb/gone_paths.h"
#include "stage1/nixdb/register_closure.h"
#include "stage1/steps/rollback.h"
#include "tests/support/disk.h"
#include "tests/support/faulty_file.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::entry;
using nix_test::path_of;

constexpr uint64_t rollback_disk_bytes = uint64_t{32} << 20;
constexpr size_t of_the_host = 20, all_paths = 60;  // the rest belongs to the machine
constexpr const char *upper_dir = "nix/.rw-store/upper", *work_dir = "nix/.rw-store/work",
                     *heap_dir = "nix/.rw-store/rolled-back";

// The target root: a machine's ext4 with the host's store mounted in it.
class MachineRoot {
  public:
    explicit MachineRoot(const std::string &device) {
        if (::mount(device.c_str(), at().c_str(), "ext4", 0, "") < 0) FAIL("mount " << device << ": errno " << errno);
        for (const char *directory : {"nix/.ro-store", upper_dir, work_dir}) fs::create_directories(at(directory));
        REQUIRE(::mount("host", at("nix/.ro-store").c_str(), "tmpfs", 0, "") == 0);
        for (size_t n = 1; n <= of_the_host; ++n) fs::create_directory(at("nix/.ro-store/" + name_of(n)));
    }
    MachineRoot(const MachineRoot &) = delete;
    MachineRoot &operator=(const MachineRoot &) = delete;
    ~MachineRoot() {
        CHECK(::umount(at("nix/.ro-store").c_str()) == 0);
        CHECK(::umount(at().c_str()) == 0);
    }

    static std::string name_of(size_t n) { return fs::path(path_of(n)).filename(); }
    [[nodiscard]] std::string at(const std::string &path = "") const { return scratch_.path(path); }
    [[nodiscard]] std::string query(const std::string &sql) const { return nix_test::query(at("nix/var/nix/db/db.sqlite"), sql); }

    // Adds the machine's own paths, and removes two of the host's.
    void add_own_paths() const {
        std::string text;
        for (size_t n = 1; n <= all_paths; ++n) text += n > 2 ? entry(n, {n - 1, n - 2}) : entry(n);
        REQUIRE(base::replace_file(at("reg"), text));
        REQUIRE(stage1::nixdb::register_closure({.target_root = at(), .reginfo = "/reg"}));
        for (size_t n = of_the_host + 1; n <= all_paths; ++n) {
            const std::string path = at(upper_dir) + "/" + name_of(n);
            fs::create_directories(path + "/bin/deep/er");
            std::ofstream(path + "/bin/deep/file") << std::string(n * 100, 'x');
            fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
        }
        for (size_t n = 1; n <= 2; ++n) REQUIRE(::mknod((at(upper_dir) + "/" + name_of(n)).c_str(), S_IFCHR, 0) == 0);
    }
    [[nodiscard]] base::Result<std::string> boot() const {
        return stage1::roll_back(
            {.lower = at("nix/.ro-store"), .upper = at(upper_dir), .work = at(work_dir), .target = "", .root = at()});
    }
    // The file system's journal then has the names of all earlier files.
    void sync_another_file() const { REQUIRE(base::replace_file(at("another"), "x")); }
    [[nodiscard]] bool is_asked() const { return fs::exists(at("nix/.rw-store/rollback")); }

    void check_rolled_back() const {
        CHECK_FALSE(is_asked());
        CHECK_FALSE(fs::exists(at(heap_dir)));
        CHECK(fs::is_empty(at(upper_dir)));
        CHECK(fs::is_empty(at(work_dir)));
        CHECK(query("select count(*) from ValidPaths") == std::to_string(of_the_host));
        CHECK(query("select count(*) from Refs where referrer not in (select id from ValidPaths)") == "0");
        CHECK(query("pragma integrity_check") == "ok");
    }

  private:
    support::ScratchDirectory scratch_;
};

std::string machine_disk(const support::ScratchDirectory &scratch) {
    std::string image = scratch.path("image");
    support::make_sparse_file(image, rollback_disk_bytes);
    REQUIRE(base::run({.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", image}})->status == 0);
    const support::LoopDevice loop(image);
    const MachineRoot root(loop.path());
    root.add_own_paths();
    REQUIRE(stage1::ask_for_rollback(root.at()));
    return image;
}

void require_loop_devices() {
    if (const std::string reason = support::loop_devices_missing(); !reason.empty()) SKIP(reason);
    if (::access("/dev/fuse", R_OK | W_OK) < 0) SKIP("no /dev/fuse here");
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

std::vector<support::RecordedWrite> record_of_a_rollback(const std::string &image) {
    const support::ScratchDirectory scratch;
    fs::copy_file(image, scratch.path("copy"));
    fs::create_directory(scratch.path("mount"));
    const support::FaultyFile file(scratch.path("copy"), scratch.path("mount"));
    {
        const support::LoopDevice loop(file.path());
        const MachineRoot root(loop.path());
        const auto done = root.boot();
        INFO((done ? *done : message(done.error())));
        REQUIRE(done);
        CHECK(done->contains("40 paths are no longer registered"));
        root.check_rolled_back();
        root.sync_another_file();
    }
    return file.record();
}

}  // namespace

TEST_CASE("after a power cut at any write of a rollback the next boot ends it, upper and database together", "[disk]") {
    require_loop_devices();
    const support::ScratchDirectory scratch;
    const std::string image = machine_disk(scratch);
    const auto record = record_of_a_rollback(image);
    INFO(record.size() << " writes and flushes");
    REQUIRE(record.size() > 10);
    std::mt19937 random(17);
    size_t begun = 0, done_before = 0;
    for (size_t cut_at = 0; cut_at <= record.size(); ++cut_at) {
        const std::string cut = scratch.path("cut");
        fs::copy_file(image, cut, fs::copy_options::overwrite_existing);
        support::replay_cut(record, cut_at, cut, random, 4096);
        const support::LoopDevice loop(cut);
        const MachineRoot root(loop.path());
        INFO("cut at " << cut_at);
        (root.is_asked() ? begun : done_before) += 1;
        const auto booted = root.boot();
        INFO((booted ? *booted : message(booted.error())));
        REQUIRE(booted);
        root.check_rolled_back();
        // Paths that are added from now on must not be removed.
        fs::create_directory(root.at(upper_dir) + "/new");
        CHECK(root.boot().value_or("failed").empty());
        CHECK(fs::exists(root.at(upper_dir) + "/new"));
    }
    CHECK(begun > 0);
    CHECK(done_before > 0);
}

TEST_CASE("a rollback is not asked for where there is nothing to take away, or where it is in memory", "[root]") {
    if (::geteuid() != 0) SKIP("needs root, for mounts");
    const support::ScratchDirectory scratch;
    const auto none = stage1::ask_for_rollback(scratch.path());
    REQUIRE_FALSE(none);
    CHECK(message(none.error()).contains("the store of this machine has no union"));
    fs::create_directories(scratch.path("nix/.rw-store"));
    REQUIRE(::mount("memory", scratch.path("nix/.rw-store").c_str(), "tmpfs", 0, "") == 0);
    fs::create_directory(scratch.path(upper_dir));
    const auto memory = stage1::ask_for_rollback(scratch.path());
    CHECK(::umount(scratch.path("nix/.rw-store").c_str()) == 0);
    REQUIRE_FALSE(memory);
    CHECK(message(memory.error()).contains("it is in memory: the next boot has none of it anyway"));
}

TEST_CASE("a database that a rollback can't look at is an error, and none is nothing to do") {
    const support::ScratchDirectory scratch;
    const auto root = base::open_at(AT_FDCWD, scratch.path(), O_PATH | O_DIRECTORY);
    REQUIRE(root);
    const auto none = stage1::nixdb::drop_gone_paths(root->get(), root->get());
    REQUIRE(none);
    CHECK(none->empty());
    fs::create_directories(scratch.path("nix/var/nix"));
    fs::create_symlink("db", scratch.path("nix/var/nix/db"));
    const auto loop = stage1::nixdb::drop_gone_paths(root->get(), root->get());
    REQUIRE_FALSE(loop);
    CHECK(loop.error().code == ELOOP);
}
