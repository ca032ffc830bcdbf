// What a person at the console sees and can do during stage 1: breakpoints, the failure menu, a shell in the initrd.

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "tests/boot/console.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Console;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// stage1 as /init of an initrd with a shell and e2fsck. `tree`: a directory with additional content.
std::string initrd_with_a_shell(const Machine &machine, const std::string &tree = "") {
    (void)boot_test::fixture();
    std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"/usr/bin/env", "TREE=" + tree, "tests/support/shell-initrd", initrd,
                         (boot_test::build_directory() / "stage1").string(), "/sbin/e2fsck=/sbin/fsck.ext4"});
    return initrd;
}

TEST_CASE("a launcher that is late with the console's words shows each once") {
    Machine machine;
    constexpr int lines = 3000;
    Console console(machine, {.script = std::format("echo at work; sleep 1; seq 1 {}; exit 3", lines), .disk = false});
    console.type("\r");  // shows the console instead of the line of phases
    console.wait_for("at work");
    console.stall(4);
    const Boot b = console.finish();
    CHECK(b.exit_code == 3);
    std::string wanted = "\n";
    for (int i = 1; i <= lines; ++i) wanted += std::format("{}\n", i);
    std::string shown = b.console;
    std::erase(shown, '\r');
    const size_t begin = shown.find("\n1\n2\n");
    REQUIRE(begin != std::string::npos);
    CHECK(shown.substr(begin, wanted.size()) == wanted);
}

TEST_CASE("breakpoints give a shell on the console before each phase that was named, and the boot goes on") {
    Machine machine;
    Console console(machine, {.script = "exit 3",
                              .parameters = {"boot.debug1", "boot.debug1devices", "boot.debug1mounts", "stage1.break=switch_root",
                                             "boot.trace"},
                              .arguments = {"--initrd", initrd_with_a_shell(machine)}});
    console.wait_for("stage1: stopped before the first step; the boot goes on when this shell ends.");
    console.command("tty; ls /dev/vda; echo shell-$((40 + 2))");
    console.wait_for("/dev/ttyS0");
    console.wait_for("shell-42");
    console.command("exit");
    console.wait_for("stage1: load modules ");
    console.wait_for("stage1: stopped before devices;");
    console.command("exit");
    console.wait_for("stage1: wait for serial=root at most 20 s");
    console.wait_for("stage1: check serial=root (ext4) if the initrd has its fsck");
    console.wait_for("stage1: stopped before mounts;");
    console.command("fsck.ext4 -fn /dev/vda");
    console.wait_for("nixos: 11/");
    console.command("exit");
    console.wait_for("stage1: stopped before switch_root;");
    console.command("ls -d /mnt-root/etc/NIXOS; dmesg | grep fsck:");
    console.wait_for("/mnt-root/etc/NIXOS\n");
    console.wait_for("fsck.ext4 /dev/vda (clean)");
    console.command("exit");
    const Boot b = console.finish();
    CHECK(b.exit_code == 3);
    CHECK_THAT(b.console, !ContainsSubstring("job control turned off"));
}

TEST_CASE(
    "the failure menu gives shells in which the failure is mended, and goes on; a table that can't be read, one that is wrong") {
    Machine machine;
    const std::string tree = machine.xchg() + ".tree";
    std::filesystem::create_directories(tree + "/etc/stage1/fstab");
    Console console(machine, {.store_union = "off",
                              .script = "exit 5",
                              .parameters = {"boot.shell_on_fail"},
                              .arguments = {"--initrd", initrd_with_a_shell(machine, tree)}});
    console.wait_for("stage1: the boot failed: read '/etc/stage1/fstab': Is a directory\n");
    console.wait_for(
        "  i) to launch an interactive shell\n  f) to start an interactive shell having pid 1\n"
        "  r) to reboot immediately\n  *) to ignore the error and continue\n");
    console.type("f");
    console.command("echo the shell is process $$");
    console.wait_for("the shell is process 1\n");
    console.command("exec /init");
    console.wait_for("stage1: the boot failed: read '/etc/stage1/fstab': Is a directory\n");
    console.wait_for("continue\n");
    console.type("i");
    console.command("rmdir /etc/stage1/fstab; echo '/dev/vda /' >/etc/stage1/fstab; exit");
    console.wait_for("continue\n");
    console.type("x");
    console.wait_for("Continuing...\n");
    console.wait_for(
        "stage1: the boot failed: fstab '/etc/stage1/fstab': line 1 is not one of fstab(5): source, target, type, options\n");
    console.wait_for("continue\n");
    console.type("i");
    console.command("rm /etc/stage1/fstab; exit");
    console.wait_for("continue\n");
    console.type("x");
    CHECK(console.finish().exit_code == 120);  // it failed, and a person's later repair does not change that
}

TEST_CASE(
    "an initrd without a shell has a prompt of its own: before a phase and a step, and where a step fails, which it tries "
    "again") {
    Machine machine;
    Console console(
        machine, {.script = "exit 4",
                  .parameters = {"stage1.break=devices", "stage1.break=mount:/tmp/shared", "boot.shell_on_fail", "boot.trace"}});
    console.wait_for("stage1: stopped before devices; 'continue' continues the boot, 'help' lists commands.");
    console.command("lsx");
    console.wait_for("prompt 'lsx': no such command; 'help' lists commands");
    console.command("blkid");
    console.wait_for("vda (");
    console.command("plan");
    console.wait_for("> devices:\n");
    console.command("cat /run/stage1/report.json");
    console.wait_for("\"step\": \"modules\", \"text\": \"modules: ");
    console.wait_for("\"end_us\": ");
    console.command("retry");
    console.wait_for("retry: no step failed; 'continue' continues the boot");
    console.command("lsmod");
    console.wait_for("9pnet_virtio");
    console.command("dmesg");
    console.wait_for("stage1 ");
    console.command("step");
    console.wait_for("stage1: wait for serial=root at most 20 s\n");
    console.wait_for(" s: device: serial=root is /dev/vda\n");
    console.wait_for("stage1: stopped before ");
    console.command("contx\x7finue");
    console.wait_for("stage1: stopped before mount -t 9p ");
    console.command("mount -t tmpfs none /mnt-root/tmp/shared");
    console.command("ls /mnt-root/tmp");
    console.wait_for("d1777     0     0           40 shared\n");
    console.command("continue");
    console.wait_for(" s: failed\n");
    console.wait_for("stage1: the boot failed: mount '/mnt-root/tmp/shared': ");
    console.wait_for(
        "  i) to launch stage 1's own prompt, because this initrd has no shell\n  t) to try the failed step again\n"
        "  r) to reboot immediately\n");
    console.type("i");
    console.command("report");
    console.wait_for("\"error\": \"mount '/mnt-root/tmp/shared': ");
    console.command("umount /mnt-root/tmp/shared");
    console.command("retry");
    const Boot b = console.finish();
    CHECK(b.exit_code == 120);  // the launcher knows of the failure, but not of a person's repair
    const std::string report = base::read_file(machine.xchg() + "/stage1-report.json").value_or("");
    CHECK_THAT(report, ContainsSubstring("\"error\": \"mount '/mnt-root/tmp/shared': ") &&
                           ContainsSubstring("\"step\": \"switch_root\""));
}

TEST_CASE("r restarts the machine; without boot.shell_on_fail no shell is offered") {
    Machine machine;
    Console console(machine, {.arguments = {"--init=/tmp/xchg/none"}, .registration = false});
    console.wait_for(
        "stage1: the boot failed: find init '/tmp/xchg/none': No such file or directory; no such file in the target "
        "root /mnt-root; is the store mounted, and is init= from this closure?\n");
    console.wait_for("*) to ignore the error and continue\n");
    console.type("r");
    const Boot b = console.finish();
    CHECK(b.exit_code == 120);
    CHECK_THAT(b.console, ContainsSubstring("reboot: Restarting system") && !ContainsSubstring("interactive shell"));
}

}  // namespace
