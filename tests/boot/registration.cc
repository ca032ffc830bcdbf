// The Nix database during a boot: where the registration comes from, and rows of missing paths.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/boot/cpio.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::first_line;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// runvm's own initrd, followed by an archive with what a boot loader's configuration would have added.
std::string initrd_with_reginfo(const Machine &machine) {
    const std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({(boot_test::build_directory() / "runvm").string(), "initrd", "-o", initrd, "--store",
                         boot_test::fixture() + "/root/nix/store", "--toplevel", boot_test::fixture_toplevel(), "--union",
                         "tmpfs"});
    hostside::Cpio archive;
    archive.file("etc/stage1/reginfo", first_line(boot_test::fixture() + "/reginfo") + "\n");
    std::ofstream(initrd, std::ios::binary | std::ios::app) << std::move(archive).finish();
    return initrd;
}

}  // namespace

TEST_CASE("without regInfo= on the command line the initrd's etc/stage1/reginfo names the registration") {
    Machine machine;
    const Boot b = machine.boot({.script = R"(set -e
grep -c regInfo= /proc/cmdline && exit 1
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
echo "closure of $(nix-store -qR $system | wc -l) paths")",
                                 .arguments = {"--initrd", initrd_with_reginfo(machine), "--store-view", "all"},
                                 .registration = false});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("closure of 7 paths"));
}

TEST_CASE("with a toplevel and nothing else Nix in the guest knows the closure, from the database beside the store") {
    const Boot b = boot_test::boot({.script = R"(set -e
grep -c regInfo= /proc/cmdline && exit 1
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
echo "closure of $(nix-store -qR $system | wc -l) paths")",
                                    .registration = false});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("closure of 7 paths") && !ContainsSubstring("will not know"));
}

TEST_CASE("a store without a database boots, and a note says that Nix in the guest will not know the closure") {
    const Machine machine;
    const std::string alone = machine.xchg() + ".nix";
    std::filesystem::create_directory(alone);
    std::filesystem::create_directory_symlink(boot_test::fixture() + "/root/nix/store", alone + "/store");
    Machine other;
    const Boot b = other.boot({.script = "exit 3", .arguments = {"--store", alone + "/store"}, .registration = false});
    CHECK(b.exit_code == 3);
    CHECK_THAT(b.console, ContainsSubstring("Nix in the guest will not know the system's closure") &&
                              ContainsSubstring(alone + "/var/nix/db/db.sqlite"));
}

TEST_CASE("rows of paths that are gone from a persistent store: strict refuses them by name, else they are dropped by name") {
    Machine machine;
    const std::string leaves_a_stale_row = R"(set -e
echo gone >/tmp/gone; echo kept >/tmp/kept
nix-store --add /tmp/kept >/tmp/xchg/kept
rm -rf $(nix-store --add /tmp/gone | tee /tmp/xchg/gone))";
    CHECK(machine.boot({.store_union = "disk", .script = leaves_a_stale_row}).exit_code == 0);
    const std::string gone = first_line(machine.xchg() + "/gone");
    REQUIRE_THAT(gone, ContainsSubstring("/nix/store/"));

    const Boot strict = machine.boot({.store_union = "disk", .script = "true", .parameters = {"stage1.register=strict"}});
    CHECK(strict.exit_code == 120);
    CHECK_THAT(strict.console, ContainsSubstring("register '" + gone +
                                                 "': 1 paths of the database are gone from the store, this is the first; "
                                                 "stage1.register=auto drops them"));

    const Boot lenient = machine.boot({.store_union = "disk", .script = R"(set -e
dmesg | grep 'register:'
nix-store -q --hash $(cat /tmp/xchg/kept)
nix-store --check-validity $(cat /tmp/xchg/gone) || echo the other is not valid
nix-store --verify && echo verified)"});
    CHECK(lenient.exit_code == 0);
    CHECK_THAT(lenient.console, ContainsSubstring("1 gone from the store and dropped: " + gone) &&
                                    ContainsSubstring("the other is not valid") && ContainsSubstring("verified"));
}

TEST_CASE("a second boot of a disk whose database has not changed registers nothing anew") {
    Machine machine;
    CHECK(machine.boot({.script = "nix-store -q --hash $(dirname $(dirname $(readlink -f $(command -v bash))))"}).exit_code == 0);
    const Boot second = machine.boot({.script = "dmesg | grep 'register:'"});
    CHECK(second.exit_code == 0);
    CHECK_THAT(second.console, ContainsSubstring("already loaded, and the database is unchanged"));
}
