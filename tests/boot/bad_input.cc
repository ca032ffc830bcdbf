// Roots, tables and programs that stage 1 can't use, each in a real machine: the last words on its console.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

void check_failed(const Boot &b, const std::string &words) {
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("the boot failed: " + words + "\r\n"));
}

// A raw disk of 64 MiB with an ext4 that contains the files of the directory `tree`.
std::string make_disk(const Machine &machine, const std::string &tree) {
    const std::string raw = machine.xchg() + ".raw";
    boot_test::must_run(
        {"/usr/bin/env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw, "64M"});
    return raw;
}

TEST_CASE("a root disk with a directory in the place of etc/NIXOS is named, and so is one that is mounted read-only") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string tree = machine.xchg() + ".tree";
    std::filesystem::create_directories(tree + "/etc/NIXOS");
    const std::string raw = make_disk(machine, tree);
    boot_test::must_run({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, machine.disk()});
    check_failed(machine.boot({.parameters = {"ro"}}),
                 "mkdir '/mnt-root/tmp': Read-only file system; the kernel parameter 'rw' mounts the root writable");
    check_failed(machine.boot({}),
                 "mark '/mnt-root/etc/NIXOS': Is a directory; it must be a regular file; move what is there away");
}

TEST_CASE("a disk whose /tmp, /nix, /boot and /run are absolute links boots, with all within it") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string tree = machine.xchg() + ".tree";
    std::filesystem::create_directories(tree + "/var");
    for (const auto &[name, to] : {std::pair{"tmp", "/var/tmp"}, {"nix", "/persist/nix"}, {"boot", "/efi"}, {"run", "/var/run"}})
        std::filesystem::create_symlink(to, tree + "/" + name);
    boot_test::must_run({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", make_disk(machine, tree), machine.disk()});
    const Boot b = machine.boot(
        {.script = "readlink /tmp /nix /boot /run; stat -c '%n is %a' /var/tmp /var/run; awk '{ print $2, $3 }' /proc/mounts"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("/var/tmp is 1777\r\n/var/run is 755\r\n") &&
                              ContainsSubstring("/var/run tmpfs\r\n") && ContainsSubstring("/var/tmp/xchg 9p\r\n") &&
                              ContainsSubstring("/persist/nix/store overlay\r\n"));
}

TEST_CASE("a root disk that cannot be written is named") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string tree = machine.xchg() + ".tree";
    std::filesystem::create_directories(tree);
    const std::string drive = std::format("file={},format=raw,if=none,id=sealed,readonly=on", make_disk(machine, tree));
    check_failed(machine.boot({.parameters = {"root=serial=sealed"},
                               .arguments = {"--", "-drive", drive, "-device", "virtio-blk-pci,drive=sealed,serial=sealed"}}),
                 "mkdir '/mnt-root/tmp': Read-only file system; the disk itself is read-only; this machine needs one that it can "
                 "write to");
}

TEST_CASE("a root on a tmpfs that is full is named") {
    check_failed(
        boot({.parameters = {"rootflags=nr_inodes=2"}, .disk = false}),
        "mkdir '/mnt-root/nix/.ro-store': No space left on device; the file system is full, of data or of inodes; make room in "
        "it, or make it larger");
}

TEST_CASE("a /dev/vda that is not there is named, and so is that there is no disk at all") {
    check_failed(
        boot({.parameters = {"root=/dev/vda", "stage1.device-timeout=1"}, .disk = false}),
        "wait for '/dev/vda': No such device; did not appear within 1 s (stage1.device-timeout=SECONDS); block devices: none; "
        "is the disk's driver (virtio_blk, say) in the kernel or in the initrd?");
}

TEST_CASE("an init that is not executable is named") {
    Machine machine;
    std::ofstream(machine.xchg() + "/init") << "#!/bin/sh\n";
    check_failed(machine.boot({.arguments = {"--init=/tmp/xchg/init"}, .registration = false}),
                 "find init '/tmp/xchg/init': Permission denied; the file is not executable");
}

TEST_CASE("a scripted stage 1 reads on its console what is wrong with its file system table and its target root") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string init = machine.xchg() + ".init", initrd = machine.xchg() + ".initrd";
    std::ofstream(init) << R"sh(#!/bin/sh
# Without /sys there is no status port: told of the first failure, the launcher would end the machine. So it hears of the last.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
exec >/dev/console 2>&1 </dev/null
mkdir -p /etc/stage1/fstab
stage1 mounts
rmdir /etc/stage1/fstab
echo '/dev/vda /' >/etc/stage1/fstab
stage1 mounts
echo 'store /nix/store 9p ro 0 0' >/etc/stage1/fstab
stage1 mounts
rm /etc/stage1/fstab
touch /file
stage1 mounts --target-root /file
mount -t sysfs sysfs /sys
stage1 register --target-root /nowhere
poweroff -f
)sh";
    boot_test::must_run({"/usr/bin/env", "MODULES=overlay", "tests/support/shell-initrd", initrd, init,
                         (boot_test::build_directory() / "stage1").string() + "=/bin/stage1"});
    const Boot b = machine.boot({.arguments = {"--initrd", initrd}});
    CHECK(b.exit_code == 120);
    for (const std::string_view words :
         {"read '/etc/stage1/fstab': Is a directory", "fstab '/etc/stage1/fstab': no file system for '/'",
          "fstab '/etc/stage1/fstab': line 1 is not one of fstab(5): source, target, type, options",
          "mkdir '/file': Not a directory; something else is there; move it away",
          "register '/nowhere': No such file or directory; not a target root: nothing is mounted there"})
        CHECK_THAT(b.console, ContainsSubstring(std::format("\n{}\r\n", words)));
}

}  // namespace
