// The three ways into a machine: every other test uses /init itself; here a scripted stage 1, and systemd in the initrd.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a scripted stage 1 that calls stage1's commands boots, and again on the same disk") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"tests/support/shell-initrd", initrd, "tests/boot/initrds/scripted-init.sh",
                         (boot_test::build_directory() / "stage1").string() + "=/bin/stage1", "pgrep",
                         "/bin/sleep=/bin/real-sleep"});
    for (const std::string disk : {"formatted ext4 UUID=", "kept ext4 UUID="}) {
        const Boot b = machine.boot({.script = R"sh(set -e
test -e /etc/NIXOS
echo here >/nix/store/new
nix-store -qR $(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline) | wc -l
echo "left over: $(cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -o -e '[s]leep 1001' -e '@[d]aemon' | tr '\n' ' ')"
exit 4)sh",
                                     .arguments = {"--initrd", initrd}});
        CHECK(b.exit_code == 4);
        CHECK_THAT(b.console, ContainsSubstring(disk) && ContainsSubstring("union: was mounted at") &&
                                  ContainsSubstring("kept ext4, mounted on '/mnt-root'") &&
                                  ContainsSubstring("switching the root") && ContainsSubstring("left over: @daemon") &&
                                  !ContainsSubstring("sleep 1001"));
    }
}

// stage1 in an initrd of Debian's systemd. make runs this in the repository's directory.
std::string systemd_initrd(const Machine &machine) {
    (void)boot_test::fixture();
    std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"tests/support/systemd-initrd", initrd, (boot_test::build_directory() / "stage1").string()});
    return initrd;
}

// Prints our daemon with its control group, the store's type, the closure's database, and leaves a file open at the end.
constexpr const char *look_around = R"sh(grep ' /nix/store ' /proc/mounts
for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' <$process/cmdline) in @*unionfs*) echo "the daemon $(cat $process/comm) is in $(cat $process/cgroup)" ;; esac
done
ls /nix/var/nix/db/db.sqlite /etc/NIXOS
echo written >/nix/store/by-the-guest
exec 7>>/nix/store/held-open
exit 7)sh";

void check_that_it_came_up_and_went_down(const Machine &machine, const Boot &b) {
    INFO(b.console);
    CHECK(b.exit_code == 7);
    CHECK_THAT(b.console, ContainsSubstring("fixture: multi-user.target is active") && ContainsSubstring("failed units: \r\n") &&
                              ContainsSubstring("/nix/var/nix/db/db.sqlite") && ContainsSubstring("/etc/NIXOS") &&
                              ContainsSubstring("reboot: Power down"));
    const auto [sound, said] = machine.check_disk();
    CHECK(sound);
    CHECK_THAT(said, ContainsSubstring("state:         clean") && !ContainsSubstring("needs_recovery"));
}

TEST_CASE("systemd in the initrd hands over to systemd in stage 2; a store over overlayfs; root= in systemd's own words") {
    Machine machine;
    const Boot b = machine.boot({.system = "systemd",
                                 .store_union = "disk",
                                 .script = look_around,
                                 .parameters = {"root=/dev/vda", "rw", "stage1.union.engine=overlay"},
                                 .arguments = {"--initrd", systemd_initrd(machine)}});
    check_that_it_came_up_and_went_down(machine, b);
    CHECK_THAT(b.console, ContainsSubstring("formatted ext4") && ContainsSubstring("overlay /nix/store overlay"));
}

TEST_CASE("systemd in the initrd hands over to systemd in stage 2; our own union lives from one to the other and to the end") {
    Machine machine;
    const Boot b = machine.boot({.system = "systemd",
                                 .store_union = "disk",
                                 .script = look_around,
                                 .parameters = {"stage1.union.engine=fuse"},
                                 .arguments = {"--initrd", systemd_initrd(machine)}});
    check_that_it_came_up_and_went_down(machine, b);
    CHECK_THAT(b.console, ContainsSubstring("device: /dev/vda is /dev/vda") && ContainsSubstring("unionfs /nix/store fuse") &&
                              ContainsSubstring("the daemon unionfs is in 0::/init.scope"));
}

TEST_CASE("a system whose init is systemd itself is activated by its prepare-root before that runs") {
    const Boot b = boot_test::boot({.system = "systemd", .script = R"(readlink /run/current-system
readlink /run/booted-system
grep -c ^root: /etc/passwd)"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("fixture: multi-user.target is active") &&
                              ContainsSubstring("-nixos-system-systemd\r\n/nix/store/"));
}

TEST_CASE("a system for a computer with a /boot comes up without it: stage 2 leaves its fstab alone, and a note says so") {
    const Boot b =
        boot_test::boot({.system = "systemd", .script = "grep /boot /etc/fstab; tr ' ' '\\n' </proc/cmdline | grep fstab"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console,
               ContainsSubstring("its fstab names file systems that this machine lacks: /boot (/dev/disk/by-uuid/12CE-A600)") &&
                   ContainsSubstring("fmask=0077") && ContainsSubstring("\nfstab=no\r\n") &&
                   ContainsSubstring("fixture: multi-user.target is active") && ContainsSubstring("failed units: \r\n"));
}

TEST_CASE("a system whose init is systemd itself and that has no prepare-root is refused, with what to do") {
    Machine machine;
    const std::string system = machine.xchg() + "/system";
    std::filesystem::create_directory(system);
    std::filesystem::copy_file("/proc/self/exe", system + "/init");
    std::ofstream(system + "/nixos-version") << "26.05";
    const Boot b = machine.boot({.arguments = {"--init=/tmp/xchg/system/init"}, .registration = false});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("the boot failed: find init '/tmp/xchg/system/init'") &&
                              ContainsSubstring("has no prepare-root") && ContainsSubstring("system.nixos-init.enable"));
}

TEST_CASE("our own union, begun by /init, lives under systemd in stage 2 to the end") {
    Machine machine;
    const Boot b = machine.boot(
        {.system = "systemd", .store_union = "disk", .script = look_around, .parameters = {"stage1.union.engine=fuse"}});
    check_that_it_came_up_and_went_down(machine, b);
    CHECK_THAT(b.console,
               ContainsSubstring("unionfs /nix/store fuse") && ContainsSubstring("the daemon unionfs is in 0::/init.scope"));
}

TEST_CASE("a disk that is refused under systemd in the initrd ends the run with stage 1's status, not with a timeout") {
    Machine machine;
    boot_test::must_run({"qemu-img", "create", "-q", "-f", "qcow2", machine.disk(), "64M"});
    boot_test::must_run({"qemu-io", "-f", "qcow2", "-c", "write -q -P 0x41 32k 4k", machine.disk()});
    const Boot b = machine.boot({.system = "systemd", .arguments = {"--initrd", systemd_initrd(machine)}, .timeout_s = 100});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("why: use disk '/dev/vda': "));
}

TEST_CASE("a unit of another's that fails in systemd's initrd ends the run with stage 1's status and is named, whatever it was") {
    Machine machine;
    const Boot b = machine.boot({.system = "systemd",
                                 .arguments = {"--initrd", systemd_initrd(machine), "--init=/nix/store/none/init"},
                                 .registration = false,
                                 .timeout_s = 100});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("why: systemd's emergency mode; failed: ") &&
                              ContainsSubstring(" initrd-find-nixos-closure.service\n"));
}

TEST_CASE("a scripted stage 1 that reboots the machine half way is no success") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd", script = machine.xchg() + ".init";
    std::ofstream(script) << R"(#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /etc/modules.list); do modprobe "$module" 2>/dev/null; done
stage1 devices >/dev/console 2>&1
echo 'no fsck here' >/dev/console
reboot -f
)";
    boot_test::must_run(
        {"tests/support/shell-initrd", initrd, script, (boot_test::build_directory() / "stage1").string() + "=/bin/stage1"});
    const Boot b = machine.boot({.arguments = {"--initrd", initrd}});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("no fsck here") &&
                              ContainsSubstring("why: the guest rebooted in its phase 'devices', before stage 2"));
}

TEST_CASE("a systemd whose tmp.mount covers the directory of xchg does not hide it") {
    Machine machine;
    // As if it were the user's own unit; in Debian 13 it is the vendor's. On the disk, for the second boot.
    const Boot first = machine.boot({.system = "systemd", .script = R"(dir=/etc/systemd/system.control
mkdir -p $dir/local-fs.target.wants
printf '%s\n' '[Unit]' DefaultDependencies=no Before=local-fs.target '[Mount]' What=tmpfs Where=/tmp Type=tmpfs >$dir/tmp.mount
ln -s ../tmp.mount $dir/local-fs.target.wants/)"});
    INFO(first.console);
    REQUIRE(first.exit_code == 0);
    const Boot second = machine.boot({.system = "systemd", .script = "systemctl show -P ConditionResult tmp.mount; exit 8"});
    INFO(second.console);
    CHECK(second.exit_code == 8);
    CHECK_THAT(second.console, ContainsSubstring("no\r\n"));
}

}  // namespace
