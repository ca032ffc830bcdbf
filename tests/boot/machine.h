// A real machine in a test: runvm, QEMU, the guest kernel, stage1 and the fixture's Nix store.
//
//     const Boot b = boot({.script = "touch /nix/store/x"});
//     CHECK(b.exit_code == 0);
//
// Every boot is emulated, bounded in time, and leaves its console under build/tests/boot-logs/<test>/; the directory is
// removed when the test passes and named when it fails. Without the fixture (STAGE1_FIXTURE) a test is skipped.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace boot_test {

struct Setup {
    std::string system{};                   // of the fixture: its shell's, or `systemd`
    std::string store_union = "tmpfs";      // off, tmpfs, disk
    std::string script{};                   // bash, run by stage 2; its exit status is the machine's
    std::vector<std::string> parameters{};  // kernel parameters
    std::vector<std::string> arguments{};   // further words for runvm, last
    bool disk = true;                       // false: NIX_DISK_IMAGE is set and empty, as for a root on tmpfs
    bool registration = true;               // regInfo= of the fixture's closure
    int timeout_s = 240;
};

struct Boot {
    int exit_code = -1;      // runvm's
    std::string console;     // everything that the machine and runvm said
    double cpu_seconds = 0;  // of the host, runvm and QEMU together
};

// A directory with a disk image (absent until the first boot) and an xchg, for boots that follow each other.
class Machine {
  public:
    Machine();
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;
    ~Machine();

    Boot boot(const Setup &setup);
    // runvm with all of its words, for a boot that is not just waited for (console.h).
    [[nodiscard]] std::vector<std::string> words(const Setup &setup) const;
    // Keeps what a boot said where a failed test's reader finds it.
    void keep_log(const std::vector<std::string> &words, const Boot &boot);

    // What e2fsck -fn, then dumpe2fs -h say of the disk, and whether both found it in order.
    [[nodiscard]] std::pair<bool, std::string> check_disk() const;

    [[nodiscard]] std::string disk() const { return directory_ + "/disk.qcow2"; }
    [[nodiscard]] std::string xchg() const { return directory_ + "/xchg"; }

  private:
    std::string directory_;
    int boots_ = 0;
};

// Without its newline. A file that is not there fails the test.
std::string first_line(const std::string &file);

// Runs a program that must succeed, and returns what it said.
std::string must_run(const std::vector<std::string> &argv);

// One boot of a machine of its own.
Boot boot(const Setup &setup);

// Where the programs under test are: build/runvm, build/stage1; we are build/tests/boot.
std::filesystem::path build_directory();

// The fixture's directory: root/nix/store, toplevel, reginfo, vmlinux (tests/support/provide-fixture). Skips the test
// when there is none.
std::string fixture();
std::string fixture_toplevel();

}  // namespace boot_test
