// Where the root is, and what it may be: every way to name it, and file systems made by others.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/boot/machine.h"
#include "tests/support/disk.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

std::string disks_of(const Machine &machine) {
    std::string directory = machine.xchg() + ".disks";
    std::filesystem::create_directory(directory);
    boot_test::must_run({"tests/support/root-disks", directory});
    return directory;
}

void add_drive(std::vector<std::string> &arguments, const std::string &file, const std::string &serial) {
    arguments.insert(arguments.end(), {"-drive", std::format("file={},format=raw,if=none,id={}", file, serial), "-device",
                                       std::format("virtio-blk-pci,drive={0},serial={0}", serial)});
}

// Waits until files use less than `limit_kib` of memory: a larger initramfs has then been freed.
std::string wait_for_free_memory(int limit_kib) {
    return std::format(R"(
for try in {{1..100}}; do
    cached=$(sed -n 's/^Cached: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    [ $cached -ge {0} ] || break
    sleep 0.1
done
[ $cached -lt {0} ] && echo initramfs freed
)",
                       limit_kib);
}

TEST_CASE("a root by PARTUUID=, and others by UUID=, LABEL= and serial=, out of a table of the initrd, whose memory is freed") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string disks = disks_of(machine);
    const std::string tree = machine.xchg() + ".tree";
    std::filesystem::create_directories(tree + "/etc/stage1");
    constexpr const char *nine_p = "trans=virtio,version=9p2000.L,msize=512000";
    std::ofstream(tree + "/etc/stage1/fstab")
        << "# as NixOS writes it\n/dev/disk/by-label/elsewhere / ext4 rw 0 1\n"
        << "UUID=22222222-2222-2222-2222-222222222222 /by-uuid xfs rw 0 2\nLABEL=data /by-label btrfs rw 0 0\n"
        << "/by-uuid/var /bound none bind,x-systemd.requires-mounts-for=/by-uuid 0 0\nserial=absent none swap sw 0 0\n"
        << "serial=absent /nowhere ext4 noauto 0 0\noverlay /over/ overlay lowerdir=/by-label,upperdir=/ov/u,workdir=/ov/w 0 0\n"
        << "serial=fourth /by-serial vfat ro 0 0\nLABEL=absent /optional ext4 x-stage1.optional 0 0\n"
        << "store /nix/store 9p ro,cache=loose," << nine_p << " 0 0\nxchg /tmp/xchg 9p rw,cache=mmap," << nine_p << " 0 0\n";
    support::make_sparse_file(tree + "/ballast", 96 << 20);
    const std::string initrd = machine.xchg() + ".initrd";
    const std::string modules =
        "virtio_pci virtio_blk ext4 crc32c_generic crc32c-intel 9p 9pnet_virtio overlay virtio_console xfs btrfs vfat "
        "nls_cp437 nls_ascii nls_utf8";
    boot_test::must_run({"/usr/bin/env", "TREE=" + tree, "MODULES=" + modules, "tests/support/shell-initrd", initrd,
                         (boot_test::build_directory() / "stage1").string(),
                         (boot_test::build_directory() / "stage1").string() + "=/sbin/modprobe", "/sbin/e2fsck=/sbin/fsck.ext4"});
    std::vector<std::string> arguments{"--initrd", initrd, "--"};
    add_drive(arguments, disks + "/gpt", "first");
    add_drive(arguments, disks + "/xfs", "second");
    add_drive(arguments, disks + "/btrfs", "third");
    add_drive(arguments, disks + "/vfat", "fourth");
    const Boot b = machine.boot(
        {.script =
             "grep -E ' (/|/by-.*|/bound|/over) ' /proc/mounts | cut -d ' ' -f 2,3 | sort; test ! -e /optional/file || exit 1" +
             wait_for_free_memory(96 << 10),
         .parameters = {"root=partuuid=\"33333333-3333-3333-3333-333333333333/PARTNROFF=-1\""},
         .arguments = arguments});
    CHECK(b.exit_code == 0);
    CHECK_THAT(
        b.console,
        ContainsSubstring("/ ext4\r\n/bound xfs\r\n/by-label btrfs\r\n/by-serial vfat\r\n/by-uuid xfs\r\n/over overlay\r\n") &&
            ContainsSubstring("initramfs freed\r\n"));
}

TEST_CASE("a root disk that holds an xfs is mounted as one, with /boot by label and a share of the host") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string disks = disks_of(machine);
    boot_test::must_run({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", disks + "/xfs", machine.disk()});
    std::filesystem::create_directory(disks + "/shared");
    std::ofstream(disks + "/shared/word") << "from the share\n";
    std::vector<std::string> arguments{"--module",
                                       "xfs",
                                       "--module",
                                       "vfat",
                                       "--module",
                                       "nls_cp437",
                                       "--module",
                                       "nls_ascii",
                                       "--shared-directories",
                                       std::format("src={}/shared:/src:ro", disks),
                                       "--"};
    add_drive(arguments, disks + "/vfat", "boot");
    const Boot b =
        machine.boot({.store_union = "disk",
                      .script = "grep -E ' (/|/boot|/nix/store) ' /proc/mounts | cut -d ' ' -f 2,3 | sort\n"
                                "cat /src/word; touch /src/new; touch /boot/new; echo x >/nix/store/x && ls /nix/store/x",
                      .parameters = {"stage1.boot=LABEL=BOOT"},
                      .arguments = arguments});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("/ xfs\r\n/boot vfat\r\n/nix/store overlay\r\n") &&
                              ContainsSubstring("from the share") && ContainsSubstring("/src/new': Read-only file system") &&
                              ContainsSubstring("/boot/new': Read-only file system") && ContainsSubstring("/nix/store/x\r\n"));
}

TEST_CASE("an existing ext4 is the root by LABEL= and by UUID=, its modules compressed, and a module that is missing named") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string raw = machine.xchg() + ".raw", tree = machine.xchg() + ".tree", initrd = machine.xchg() + ".initrd";
    std::ofstream(raw).close();
    std::filesystem::resize_file(raw, uintmax_t{96} << 20);
    constexpr const char *uuid = "44444444-4444-4444-4444-444444444444";
    boot_test::must_run({"/usr/bin/env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "mke2fs", "-q", "-F", "-t", "ext4", "-L",
                         "existing", "-U", uuid, raw});
    std::filesystem::create_directories(tree + "/etc/stage1");
    constexpr const char *nine_p = "trans=virtio,version=9p2000.L,msize=512000";
    std::ofstream(tree + "/etc/stage1/fstab")
        << "/dev/vda / ext4 rw 0 0\nLABEL=absent /old jfs x-stage1.optional 0 0\nstore /nix/store 9p ro,cache=loose," << nine_p
        << " 0 0\nxchg /tmp/xchg 9p rw,cache=mmap," << nine_p << " 0 0\n";
    boot_test::must_run({"/usr/bin/env", "COMPRESS=1", "TREE=" + tree, "tests/support/shell-initrd", initrd,
                         (boot_test::build_directory() / "stage1").string()});
    const std::string files = boot_test::must_run({"/bin/sh", "-c", "busybox cpio -t <\"$1\" 2>&1", "sh", initrd});
    CHECK_THAT(files, ContainsSubstring(".ko.xz\n") && ContainsSubstring(".ko.gz\n") && ContainsSubstring(".ko.zst\n") &&
                          !ContainsSubstring(".ko\n"));
    std::vector<std::string> arguments{"--initrd", initrd, "--"};
    add_drive(arguments, raw, "existing");
    for (const std::string &root : {std::string("LABEL=existing"), std::string("UUID=") + uuid}) {
        const Boot b =
            machine.boot({.script = "grep ' / ' /proc/mounts | cut -d ' ' -f 2,3; dmesg | grep -o -e 'modules:.*' -e 'device:.*'",
                          .parameters = {"root=" + root},
                          .arguments = arguments});
        CHECK(b.exit_code == 0);
        CHECK_THAT(b.console, ContainsSubstring("/ ext4\r\n") && ContainsSubstring("device: " + root + " is /dev/vd"));
        CHECK_THAT(b.console,
                   ContainsSubstring(" loaded; 'jfs' is needed by /old and neither in this kernel nor in the initrd\r\n") &&
                       !ContainsSubstring("compressed module"));
    }
}

}  // namespace
