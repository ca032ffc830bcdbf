// Machines that fail or hang: the messages for the person who waits, and the exit status.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::boot;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("the exit status of what the guest ran is runvm's") { CHECK(boot({.script = "exit 42"}).exit_code == 42); }

TEST_CASE("a missing stage 2 is named, and the launcher says that stage 1 failed") {
    const Boot b = boot({.arguments = {"--init=/tmp/xchg/none"}, .registration = false});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("/tmp/xchg/none"));
}

TEST_CASE("the report of a boot that fails is the host's, with the step that failed and the one that never ended") {
    boot_test::Machine machine;
    CHECK(machine.boot({.arguments = {"--init=/tmp/xchg/none"}, .registration = false}).exit_code == 120);
    const std::string report = machine.xchg() + "/stage1-report.json";
    CHECK_THAT(base::read_file(report).value_or(""), ContainsSubstring("\"error\": \"find init '/tmp/xchg/none': "));
    REQUIRE(std::filesystem::remove(report));
    // It hangs before stage 2 until the timeout.
    CHECK(machine.boot({.parameters = {"stage1.break=switch_root"}, .arguments = {"--timeout", "90"}}).exit_code != 0);
    CHECK_THAT(base::read_file(report).value_or(""), ContainsSubstring("\"phase\": \"register\"") && ContainsSubstring("]}\n"));
}

TEST_CASE("the report of a boot that never had xchg is the host's all the same") {
    boot_test::Machine machine;
    const std::string report = machine.xchg() + "/host-report.json";
    const Boot b = machine.boot(
        {.parameters = {"root=serial=absent", "stage1.device-timeout=1"}, .arguments = {"--report", report}, .disk = false});
    CHECK(b.exit_code == 120);
    CHECK_FALSE(std::filesystem::exists(machine.xchg() + "/stage1-report.json"));
    CHECK_THAT(base::read_file(report).value_or(""), ContainsSubstring("\"step\": \"modules\"") &&
                                                         ContainsSubstring("\"error\": \"wait for 'serial=absent': ") &&
                                                         ContainsSubstring("]}\n"));
    CHECK_THAT(b.console, ContainsSubstring(", runvm report "));
}

TEST_CASE("a stage 2 whose interpreter is missing is named, with why it can't be executed") {
    boot_test::Machine machine;
    const std::string script = machine.xchg() + "/stage2";
    std::ofstream(script) << "#!/no/such/interpreter\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    const Boot b = machine.boot({.arguments = {"--init=/tmp/xchg/stage2"}, .registration = false});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console,
               ContainsSubstring("the boot failed: exec '/tmp/xchg/stage2': No such file or directory; its interpreter "
                                 "(the #! line, or the dynamic loader) is not in the target root\r\n"));
}

TEST_CASE("a bad value of a parameter of ours, and an init that the store has not, are named before the boot") {
    const Boot b = boot({.parameters = {"stage1.union.engine=steam"}});
    CHECK(b.exit_code == 124);
    CHECK(b.console == "runvm: kernel parameter 'stage1.union.engine=steam': expected auto | overlay | fuse\n");
    const Boot none = boot({.arguments = {"--init=/nix/store/none/init"}, .registration = false});
    CHECK(none.exit_code == 124);
    CHECK_THAT(none.console, ContainsSubstring("runvm: find init '/nix/store/none/init': No such file or directory; the store "));
}

TEST_CASE("a registration that can't be read is named, with how to boot without it") {
    const Boot b = boot({.parameters = {"regInfo=/nowhere"}, .registration = false});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("register '/nowhere': No such file or directory; the closure's registration, in the "
                                            "target root or outside; stage1.register=off boots without it"));
}

TEST_CASE("an initrd without 9p is told from a host that offers no share") {
    boot_test::Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"/usr/bin/env", "MODULES=virtio_pci virtio_blk ext4 crc32c_generic virtio_console",
                         "tests/support/shell-initrd", initrd, (boot_test::build_directory() / "stage1").string()});
    const Boot b = machine.boot({.store_union = "off", .arguments = {"--initrd", initrd}});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("cannot look for tag 'store': this kernel has no 9p over virtio, and the initrd has "
                                            "no module for it (9pnet_virtio, 9p)"));
}

TEST_CASE("a mount tag that the host does not offer is named, with those that it does") {
    const Boot b = boot({.parameters = {"stage1.share=nowhere:/mnt/nowhere"}});
    CHECK(b.exit_code == 120);
    CHECK_THAT(
        b.console,
        ContainsSubstring("the boot failed: mount '/mnt-root/mnt/nowhere': tag 'nowhere' not offered by the host; tags present: "
                          "shared, "));
}

TEST_CASE("a root that does not come is named, with what is there instead") {
    const Boot b = boot({.parameters = {"root=serial=absent", "stage1.device-timeout=1"}});
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console,
               ContainsSubstring("the boot failed: wait for 'serial=absent': No such device; did not appear within 1 s "
                                 "(stage1.device-timeout=SECONDS); block devices: vda (1 GiB, serial root, nothing known)\r\n"));
}

TEST_CASE("a machine that takes too long is stopped") {
    const Boot b = boot({.script = "sleep 1000", .timeout_s = 25});
    CHECK(b.exit_code == 122);
}

TEST_CASE("a panic in the guest ends the launcher at once with a status of its own") {
    const Boot b = boot({.script = "echo c >/proc/sysrq-trigger; sleep 100", .timeout_s = 60});
    CHECK(b.exit_code == 121);
}

TEST_CASE("a guest that prints a panic's words and powers off in order has not panicked") {
    const Boot b = boot({.script = "echo 'Kernel panic - not syncing: a line of a log'; busybox poweroff -f", .timeout_s = 60});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("Kernel panic - not syncing: a line of a log"));
}

}  // namespace
