// The root disk of a real machine, over several boots.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/host/qcow2.h"
#include "hostside/host/qcow2_overlay.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/support/disk.h"

namespace {

using boot_test::Boot;
using boot_test::boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a fresh disk is formatted once; the second boot keeps it and what was written") {
    Machine machine;
    const Boot first = machine.boot({.script = "echo kept >/root/file; ls -d /etc/NIXOS; stat -c 'tmp is %a' /tmp"});
    CHECK(first.exit_code == 0);
    CHECK_THAT(first.console, ContainsSubstring("/etc/NIXOS") && ContainsSubstring("tmp is 1777"));
    const Boot second = machine.boot({.script = "cat /root/file; blkid -s LABEL -o value /dev/vda"});
    CHECK(second.exit_code == 0);
    CHECK_THAT(second.console, ContainsSubstring("kept") && ContainsSubstring("nixos") && !ContainsSubstring("created"));
}

TEST_CASE(
    "a machine that may reboot has its new disk ready without reading all of it, and after a reboot nobody vouches for it") {
    Machine machine;
    // An unknown format, with data in the middle, which is not read on a disk that runvm vouches for.
    const Boot b = machine.boot({.script = R"sh(
echo "sectors read: $(awk '$3 == "vda" { print $6 }' /proc/diskstats)"
dd if=/dev/zero of=/dev/vda bs=1M oflag=direct 2>/dev/null
echo somebody | dd of=/dev/vda bs=1M seek=100 conv=sync,notrunc oflag=direct 2>/dev/null
echo b >/proc/sysrq-trigger)sh",
                                 .arguments = {"--allow-reboot", "--disk-size", "256"}});
    CHECK(b.exit_code == 120);
    const size_t at = b.console.find("sectors read: ");
    REQUIRE(at != std::string::npos);
    CHECK(std::stoi(b.console.substr(at + 14)) < 100'000);  // of 524,288
    CHECK_THAT(b.console,
               ContainsSubstring("it is not empty, though nothing known is on it: byte 104857600 is the first that is"));
}

TEST_CASE("a new disk gets the label or the UUID by which the root is named, and is found by it from then on") {
    for (const std::string root : {"--root-device=/dev/disk/by-label/nixos", "--root-device=LABEL=data",
                                   "--root-device=UUID=1234ABCD-1111-4222-8333-444455556666"}) {
        Machine machine;
        for (const bool again : {false, true}) {
            const Boot b = machine.boot({.script = "blkid /dev/vda; ls /root/kept; touch /root/kept", .arguments = {root}});
            INFO(b.console);
            CHECK(b.exit_code == 0);
            CHECK(b.console.contains("\n/root/kept") == again);
            const std::string name = root.substr(root.find_last_of("=/") + 1);
            CHECK_THAT(b.console, Catch::Matchers::ContainsSubstring("=\"" + name + "\"", Catch::CaseSensitive::No));
        }
    }
}

TEST_CASE("a new disk whose root's name no ext4 can have is refused at once") {
    const Boot b = boot({.arguments = {"--root-device=UUID=12CE-A600"}});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("use disk '/dev/vda': no ext4 can have the UUID '12CE-A600'"));
}

TEST_CASE("a disk that holds something else is refused, named, and left as it was") {
    Machine machine;
    // 4,000 bytes of data in the middle of a disk that blkid does not recognize.
    for (const std::vector<std::string> &argv :
         {std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", machine.disk(), "64M"},
          std::vector<std::string>{"qemu-io", "-f", "qcow2", "-c", "write -q -P 0x41 32k 4k", machine.disk()}}) {
        const auto exit = base::run({.argv = argv, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
    }
    const auto before = base::run({.argv = {"sha256sum", machine.disk()}, .capture_output = true});
    REQUIRE(before);
    const Boot b = machine.boot({.parameters = {"stage1panic=1"}});
    CHECK(b.exit_code == 120);
    // nixpkgs #61007: the last words are printed before the machine ends. Nobody is at the console, so the launcher ends the
    // machine before it panics.
    const size_t words = b.console.find("stage1: the boot failed: use disk '/dev/vda': ");
    REQUIRE(words != std::string::npos);
    CHECK(words < b.console.find("terminating on signal 15"));
    CHECK_THAT(b.console, !ContainsSubstring("Kernel panic - not syncing"));
    const auto after = base::run({.argv = {"sha256sum", machine.disk()}, .capture_output = true});
    REQUIRE(after);
    CHECK(after->output == before->output);
}

TEST_CASE("without a disk image the root is a tmpfs") {
    const Boot b = boot({.script = "grep ' / ' /proc/mounts", .disk = false});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("tmpfs / tmpfs"));
}

TEST_CASE("a file goes from the host into the guest through xchg, and another one back") {
    Machine machine;
    std::ofstream(machine.xchg() + "/in") << "from the host\n";
    const Boot b = machine.boot({.script = "cat /tmp/xchg/in; echo from the guest >/tmp/xchg/out"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("from the host"));
    const auto out = base::read_file(machine.xchg() + "/out");
    REQUIRE(out);
    CHECK(*out == "from the guest\n");
}

TEST_CASE("a diskSize that is larger than the image grows the image and its file system; a link to the image stands for it") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string link = machine.xchg() + ".link";
    std::filesystem::create_symlink(machine.disk(), link);
    const auto of_size = [&](const char *size, const char *script) {
        return machine.boot({.script = script, .arguments = {"--disk-image", link, "--disk-size", size}});
    };
    CHECK(of_size("300", "echo kept >/file").exit_code == 0);
    CHECK(std::filesystem::exists(machine.disk()));  // the link's target was made
    const Boot grown = of_size("900", "grep -q kept /file && test $(stat -f -c %b /) -gt 190000");
    CHECK(grown.exit_code == 0);
    CHECK_THAT(grown.console, ContainsSubstring(machine.disk() + " grows from 300 to 900 MiB"));
    CHECK(machine.check_disk().first);
}

TEST_CASE("x-nixos.autoresize grows the root to an image that became larger") {
    Machine machine;
    CHECK(machine.boot({.script = "df -m / | tail -n 1 >/dev/console"}).exit_code == 0);
    const auto resized = base::run({.argv = {"qemu-img", "resize", "-q", machine.disk(), "3G"}, .capture_output = true});
    REQUIRE(resized);
    REQUIRE(resized->status == 0);
    const Boot grown =
        machine.boot({.script = "test $(stat -f -c %b /) -gt 600000", .parameters = {"rootflags=x-nixos.autoresize"}});
    CHECK(grown.exit_code == 0);
}

TEST_CASE("an image over another one, made without qemu-img, is the same to QEMU as qemu-img's own") {
    const support::ScratchDirectory scratch;
    const std::string below = scratch.path("below.qcow2"), ours = scratch.path("ours.qcow2"),
                      theirs = scratch.path("theirs.qcow2");
    // More than one entry of a first-level table covers, and no whole number of clusters.
    constexpr uint64_t size_bytes = (uint64_t{3000} << 20) + 512;
    boot_test::must_run({"qemu-img", "create", "-q", "-f", "qcow2", below, std::to_string(size_bytes)});
    boot_test::must_run({"qemu-io", "-c", "write -P 0x61 2900M 1M", below});
    boot_test::must_run({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, theirs});
    REQUIRE(base::replace_file(ours, hostside::qcow2_overlay(below, "qcow2", hostside::qcow2_size_bytes(below))));
    const auto info = [](const std::string &image) {
        const std::string text = boot_test::must_run({"qemu-img", "info", image});
        return text.substr(text.find("file format"), text.find("disk size") - text.find("file format")) +
               text.substr(text.find("backing file"), text.find("Format specific") - text.find("backing file"));
    };
    CHECK(info(ours) == info(theirs));
    CHECK_THAT(info(ours), ContainsSubstring(below) && ContainsSubstring("backing file format: qcow2"));
    CHECK_THAT(boot_test::must_run({"qemu-img", "compare", ours, below}), ContainsSubstring("Images are identical"));
    boot_test::must_run({"qemu-io", "-c", "write -P 0x62 2901000000 70000", "-c", "write -P 0x63 0 512", "-c",
                         "read -P 0x61 2900M 1000", "-c", "read -P 0x62 2901000000 70000", ours});
    CHECK_THAT(boot_test::must_run({"qemu-img", "check", ours}), ContainsSubstring("No errors were found on the image"));
    CHECK(hostside::qcow2_overlay("", "qcow2", size_bytes).empty());
    CHECK(hostside::qcow2_overlay(below, "raw", 0).empty());
    CHECK(hostside::qcow2_overlay("/" + std::string(1024, 'x'), "qcow2", size_bytes).empty());
}

}  // namespace
