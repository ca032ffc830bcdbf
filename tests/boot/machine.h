// A real machine in a test: runvm, QEMU, the guest kernel, stage1 and the fixture's Nix store.
//
//     const Boot b = boot({.script = "touch /nix/store/x"});
//     CHECK(b.exit_code == 0);
//
// Every boot is emulated, has a timeout, and leaves its console under build/tests/boot-logs/<test>/. That directory is removed
// when the test passes and named when it fails. Without the fixture (STAGE1_FIXTURE) a test is skipped.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace boot_test {

struct Setup {
    std::string system{};                   // of the fixture: the one with a shell (empty), or `systemd`
    std::string store_union = "tmpfs";      // off, tmpfs, disk
    std::string store_kind = "9p";          // with auto it would depend on the tests that ran before
    std::string script{};                   // bash, run by stage 2; its exit status is the machine's
    std::vector<std::string> parameters{};  // kernel parameters
    std::vector<std::string> arguments{};   // more arguments for runvm, at the end
    bool disk = true;                       // false: NIX_DISK_IMAGE is set to empty, as for a root on tmpfs
    bool registration = true;               // regInfo= of the fixture's closure
    int timeout_s = 240;
};

struct Boot {
    int exit_code = -1;      // runvm's
    std::string console;     // all output of the machine and of runvm
    double cpu_seconds = 0;  // of the host, for runvm and QEMU together
};

// A directory with a disk image (missing until the first boot) and an xchg, for several boots in a row.
class Machine {
  public:
    Machine();
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;
    ~Machine();

    Boot boot(const Setup &setup);
    // The complete runvm command, for a boot that is interactive (console.h).
    [[nodiscard]] std::vector<std::string> words(const Setup &setup) const;
    // Keeps a boot's output where the reader of a failed test finds it.
    void keep_log(const std::vector<std::string> &words, const Boot &boot);

    // The output of e2fsck -fn and then dumpe2fs -h for the disk, and whether both succeeded.
    [[nodiscard]] std::pair<bool, std::string> check_disk() const;

    [[nodiscard]] std::string disk() const { return directory_ + "/disk.qcow2"; }
    [[nodiscard]] std::string xchg() const { return directory_ + "/xchg"; }

  private:
    std::string directory_;
    int boots_ = 0;
};

// Without the newline. A missing file fails the test.
std::string first_line(const std::string &file);

// Runs a program that must succeed, and returns its output.
std::string must_run(const std::vector<std::string> &argv);

// Copies the fixture's store and its database to `directory`/nix, for a Nix that adds to them. What other tests' machines add and
// remove beside the database meanwhile stays out: roots, and the files that SQLite has while it is open. Hard links would be
// cheaper, but they change the ctime of the fixture's kernel, by which runvm knows it.
void copy_fixture(const std::string &directory);

// One boot of a new machine.
Boot boot(const Setup &setup);

// The directory of the programs under test: build/runvm, build/stage1. The test itself is build/tests/boot.
std::filesystem::path build_directory();

// The fixture's directory: root/nix/store, toplevel, reginfo, vmlinux (tests/support/provide-fixture). Skips the test if there
// is none.
std::string fixture();
std::string fixture_toplevel();

}  // namespace boot_test
