// The union's engines in a real machine: the kernel's overlayfs and our own, with the upper in both places.
#include <catch_amalgamated.hpp>

#include "tests/boot/machine.h"

using boot_test::boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

namespace {

// Checks that the store has that type and is writable, and that Nix verifies its content.
constexpr const char *use_the_store =
    "grep ' /nix/store ' /proc/mounts\n"
    "echo written >/nix/store/by-the-guest && cat /nix/store/by-the-guest\n"
    "nix-store --verify --check-contents && echo verified\n";

}  // namespace

TEST_CASE("our own union makes the store writable, with its upper on tmpfs") {
    const auto b = boot({.store_union = "tmpfs",
                         .script = std::string(use_the_store) + "cat /run/stage1/report.json",
                         .parameters = {"stage1.union.engine=fuse"}});
    CHECK_THAT(b.console, ContainsSubstring("unionfs /nix/store fuse"));
    CHECK_THAT(b.console, ContainsSubstring("verified"));
    CHECK_THAT(b.console, ContainsSubstring("union: fuse at /mnt-root/nix/store, as asked for: mode=auto: store: lower files"));
    CHECK(b.exit_code == 0);
}

TEST_CASE("a module has its parameters of the command line, and the store's overlay is whole files whatever they say") {
    const auto b = boot({.store_union = "tmpfs",
                         .script = "cat /sys/module/overlay/parameters/metacopy; grep ' /nix/store ' /proc/mounts",
                         .parameters = {"overlay.metacopy=on"}});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("\nY\r\n") && ContainsSubstring("metacopy=off"));
}

TEST_CASE("our own union is mounted with the options of the kernel's command line, or it is said which is wrong") {
    Machine machine;
    const auto chosen = machine.boot(
        {.store_union = "tmpfs",
         .script = std::string(use_the_store) + "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'max[_]files=100 [^ ]*'",
         .parameters = {"stage1.union.options=mode=throughput,max_files=100"}});
    CHECK(chosen.exit_code == 0);
    CHECK_THAT(chosen.console, ContainsSubstring("verified") && ContainsSubstring("max_files=100 /mnt-root/nix/store"));
    const auto wrong = machine.boot({.store_union = "tmpfs", .parameters = {"stage1.union.options=mode=fast"}});
    CHECK(wrong.exit_code == 120);
    CHECK_THAT(wrong.console, ContainsSubstring("the boot failed: union '/mnt-root/nix/store': unionfs ended with 1: option "
                                                "'mode=fast': expected auto, store or throughput\r\n"));
}

TEST_CASE("an upper on the disk that our own union wrote is the kernel's at the next boot") {
    Machine machine;
    const auto first = machine.boot({.store_union = "disk", .script = use_the_store, .parameters = {"stage1.union.engine=fuse"}});
    CHECK_THAT(first.console, ContainsSubstring("verified"));
    CHECK(first.exit_code == 0);
    const auto second = machine.boot({.store_union = "disk",
                                      .script = "grep ' /nix/store overlay' /proc/mounts; cat /nix/store/by-the-guest",
                                      .parameters = {"stage1.union.engine=overlay"}});
    CHECK_THAT(second.console, ContainsSubstring("written"));
    CHECK(second.exit_code == 0);
}

TEST_CASE("a kernel without overlayfs is said where overlay is asked for; otherwise the store's union is ours") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"/usr/bin/env",
                         "MODULES=virtio_pci virtio_blk ext4 crc32c_generic crc32c-intel 9p 9pnet_virtio virtio_console fuse",
                         "tests/support/shell-initrd", initrd, (boot_test::build_directory() / "stage1").string()});
    const auto without = machine.boot({.parameters = {"stage1.union.engine=overlay"}, .arguments = {"--initrd", initrd}});
    CHECK(without.exit_code == 120);
    CHECK_THAT(without.console,
               ContainsSubstring("the boot failed: mount '/mnt-root/nix/store': No such device; this kernel has no "
                                 "file system 'overlay', built in or as a module of the initrd\r\n"));
    const auto ours =
        machine.boot({.script = "echo x >/nix/store/x && grep ' /nix/store ' /proc/mounts", .arguments = {"--initrd", initrd}});
    CHECK(ours.exit_code == 0);
    CHECK_THAT(ours.console, ContainsSubstring("unionfs /nix/store fuse"));
}
