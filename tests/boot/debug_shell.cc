// A shell in runvm's own initrd, and a second terminal beside a busy console.

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "tests/boot/console.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"
#include "tests/support/terminal.h"

namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("with --debug-shell the initrd that runvm makes has this host's busybox as its shell, at breakpoints and in the menu") {
    boot_test::Machine machine;
    boot_test::Console console(machine, {.parameters = {"stage1.break=devices"},
                                         .arguments = {"--debug-shell", "--init=/tmp/xchg/none"},
                                         .disk = false,
                                         .registration = false});
    console.wait_for("stage1: stopped before devices; the boot goes on when this shell ends.");
    console.command("echo shell-$((40 + 2)); readlink /bin/sh; blkid; grep -c 9p /proc/filesystems");
    console.wait_for("shell-42\n");
    console.wait_for("busybox\n");
    console.wait_for("1\n");
    console.command("exit");
    console.wait_for("  i) to launch an interactive shell\n");
    console.type("i");
    console.command("ls -d /mnt-root/nix/store");
    console.wait_for("/mnt-root/nix/store\n");
    console.command("reboot -f");
    CHECK(console.finish().exit_code == 120);
}

TEST_CASE("a busybox that can't be the initrd's shell, and an initrd that is another's, are refused in words") {
    boot_test::Machine machine;
    (void)boot_test::fixture();
    const auto refusal = [&](std::vector<std::string> arguments) {
        const boot_test::Boot b = machine.boot({.arguments = std::move(arguments)});
        CHECK(b.exit_code == 124);
        return b.console;
    };
    CHECK_THAT(refusal({"--debug-shell=/no/busybox"}),
               ContainsSubstring("take debug shell '/no/busybox': No such file or directory; install a static one"));
    CHECK_THAT(refusal({"--debug-shell", "--initrd", boot_test::fixture() + "/vmlinux"}),
               ContainsSubstring("it goes into the initrd that runvm makes, but this machine has its own"));
}

TEST_CASE("runvm console --debug is a terminal of its own: in stage 1 its prompt, while the boot waits for what never comes") {
    const boot_test::Place place;
    CHECK(place
              .runvm({"start", "--name", "one", "--append", "root=serial=absent stage1.device-timeout=3000 stage1.agent=early",
                      "--timeout", "300"})
              .status == 0);
    REQUIRE(boot_test::within(
        200, [&] { return place.runvm({"status", "one"}).output.contains("stage 1: devices, wait for serial=absent"); }));
    const support::Session session = support::at_a_terminal(place.words({"console", "--debug", "one"}), "stage1# ",
                                                            "continue\rplan\rls /sys/class/virtio-ports\rexit\r");
    INFO(session.screen);
    CHECK(session.exit_code == 0);
    CHECK_THAT(session.screen, ContainsSubstring("a terminal in one; exit leaves"));
    CHECK_THAT(session.screen, ContainsSubstring("the boot is controlled from its own console; 'exit' leaves this prompt"));
    CHECK_THAT(session.screen, ContainsSubstring(">   wait for serial=absent at most"));
    CHECK_THAT(session.screen, ContainsSubstring("vport"));
}

TEST_CASE("runvm console --debug says when a boot has a shell, where stage 1 has none") {
    const boot_test::Place place;
    CHECK(place.runvm({"start", "--name", "one", "--append", "root=serial=absent stage1.device-timeout=3000", "--timeout", "300"})
              .status == 0);
    const auto console = place.runvm({"console", "--debug", "one"});
    CHECK(console.status == 124);
    CHECK_THAT(console.output, ContainsSubstring("no shell answers; stage 1 has one only where the boot stops or fails"));
}

TEST_CASE("runvm console --debug is a terminal of its own: in stage 2 a shell of the system's") {
    const boot_test::Place place("touch /tmp/shared/up; sleep 1000");
    CHECK(place.runvm({"start", "--name", "one"}).status == 0);
    (void)place.wait_for("up");
    const support::Session session =
        support::at_a_terminal(place.words({"console", "--debug", "one"}), "# ", "tty; echo in-$((40 + 2)); exit 5\r");
    INFO(session.screen);
    CHECK(session.exit_code == 5);
    CHECK_THAT(session.screen, ContainsSubstring("/dev/pts/") && ContainsSubstring("in-42"));
}

}  // namespace
