// The last words of a run, derived from its output. The consoles come from real kernels and from systemd.
#include "hostside/run/ending.h"

#include <catch_amalgamated.hpp>

#include "hostside/run/console_words.h"
#include "hostside/run/emergency.h"
#include "hostside/run/oom.h"
#include "mounts/base/printable.h"

namespace {

using hostside::Ending;
using hostside::ending_of;
using hostside::Heard;
using hostside::RunEvent;

Heard heard(const std::vector<RunEvent> &events) {
    Heard all;
    for (const auto &event : events) all.event(event);
    return all;
}

}  // namespace

TEST_CASE("stage 1's failure is told with its phase and its own words") {
    const Ending e = ending_of(heard({{.kind = RunEvent::started, .number = 7},
                                      {RunEvent::phase, "mounts"},
                                      {RunEvent::stage1_failure, "mount '/x': no"}}),
                               {.exit_code = 120});
    CHECK(hostside::cause(e) == "stage 1 failed in its phase 'mounts': mount '/x': no");
    CHECK(hostside::last_words(e, 120, 1.25, "runvm logs web") ==
          std::vector<std::string>{"1.2 s: stage 1 failed in its phase 'mounts'", "  why: mount '/x': no",
                                   "  look: runvm logs web; exit status 120"});
}

TEST_CASE("a run in order has no last words, and a guest's own status has one") {
    CHECK(hostside::last_words(ending_of(heard({{.kind = RunEvent::started, .number = 7}}), {}), 0, 1, "x").empty());
    CHECK(hostside::last_words(
              ending_of(heard({{.kind = RunEvent::started, .number = 7}, {.kind = RunEvent::guest_exit, .number = 3}}),
                        {.exit_code = 3}),
              3, 2, "x") == std::vector<std::string>{"2.0 s: the guest failed with status 3"});
}

TEST_CASE("a panic is told in the kernel's words, that of process 1 with how it ended") {
    const Heard stage2 =
        heard({{.kind = RunEvent::started, .number = 7}, {RunEvent::phase, "switch_root"}, {RunEvent::panic, ""}});
    const Ending e = ending_of(
        stage2,
        {.exit_code = 121, .console = R"([    4.711] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300
[    4.712] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.95+deb12-amd64 #1
[    4.713] RIP: 0033:0x7f1
[    4.714] ---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300 ]---
)"});
    CHECK(e.why == "stage 2 ended with status 3, and a kernel can't run without process 1");
    CHECK(ending_of(heard({{RunEvent::panic, ""}}),
                    {.exit_code = 121, .console = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n"})
              .why == "process 1 ended with signal 11, and a kernel can't run without process 1");
    const Ending memory = ending_of(
        heard({{RunEvent::panic, ""}}),
        {.exit_code = 121, .memory_mib = 64, .console = "[ 1.0] Kernel panic - not syncing: System is deadlocked on memory\n"});
    CHECK(memory.why == "System is deadlocked on memory");
    CHECK(memory.remedy == "the machine has 64 MiB of memory; give it more with --memory");
    const Ending initrd = ending_of(heard({{RunEvent::panic, ""}}),
                                    {.exit_code = 121,
                                     .initrd = "/my/initrd",
                                     .console = R"([ 0.6] Initramfs unpacking failed: invalid magic at start of compressed archive
[ 1.1] /dev/root: Can't open blockdev
[ 1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
)"});
    CHECK(initrd.why == "the kernel could not unpack the initrd /my/initrd: invalid magic at start of compressed archive");
    CHECK(initrd.remedy.contains("--initrd"));
}

TEST_CASE("a guest that failed after its kernel had killed processes for want of memory is told so") {
    // Printed by a guest of 300 MiB (Linux 6.12).
    constexpr auto console =
        R"([    7.97] Out of memory: Killed process 134 (stage1-agent) total-vm:3060kB, anon-rss:172kB, shmem-rss:0kB, UID:0
[    7.99] Out of memory: Killed process 132 (stage1-agent) total-vm:2976kB, anon-rss:172kB, shmem-rss:0kB, UID:0
[    8.35] Out of memory: Killed process 143 (bash) total-vm:3996kB, anon-rss:256kB, shmem-rss:0kB, UID:0
[    9.00] Memory cgroup out of memory: Killed process 150 (within) total-vm:1kB, anon-rss:1kB
[   48.52] reboot: Power down
)";
    const Ending e =
        ending_of(heard({{RunEvent::phase, "switch_root"}}), {.exit_code = 119, .memory_mib = 300, .console = console});
    CHECK(e.why == "the guest ran out of memory, and its kernel killed processes: stage1-agent, bash");
    CHECK(e.remedy == "the machine has 300 MiB of memory; give it more with --memory");
    CHECK(ending_of(heard({}), {.exit_code = 0, .console = console}).what.empty());
    CHECK(ending_of(heard({}), {.exit_code = 3, .console = "Out of memory: Killed process 1 ) total-vm:("}).why.empty());
}

TEST_CASE("a timeout tells where the machine stood") {
    const Ending kernel = ending_of(heard({{.kind = RunEvent::started, .number = 7}}),
                                    {.exit_code = 122, .timeout_s = 5, .console = "[ 0.1] one\n[ 0.2] two\n\n"});
    CHECK(kernel.what == "the time limit of 5 s (--timeout) was reached; the guest was in: kernel");
    CHECK(kernel.why == "the console's last line: [ 0.2] two");
    CHECK(ending_of(heard({{.kind = RunEvent::started, .number = 7}, {RunEvent::phase, "devices"}}), {.exit_code = 122})
              .what.ends_with("the guest was in: stage 1: devices"));
    const auto silent = [](int memory_mib) {
        return ending_of(heard({{.kind = RunEvent::started, .number = 7}}), {.exit_code = 122, .memory_mib = memory_mib});
    };
    CHECK(silent(384).why == "the console is empty");
    CHECK(
        silent(384).remedy.starts_with("raise --timeout if the guest needs longer; a guest that boots prints something there: is "
                                       "console=ttyS0 among its parameters"));
    CHECK(silent(72).remedy.starts_with("the machine has 72 MiB of memory; give it more with --memory; a guest that boots"));
    const Ending emergency =
        ending_of(heard({{RunEvent::phase, "switch_root"}}), {.exit_code = 122, .console = R"([  OK  ] Started x.
[ TIME ] Timed out waiting for device /dev/disk/by-label/data.
[DEPEND] Dependency failed for /data.
[DEPEND] Dependency failed for Local File Systems.
You are in emergency mode. After logging in, type "journalctl -xb" to view
system logs, "systemctl reboot" to reboot, or "exit"
to continue bootup.
)"});
    CHECK(emergency.why ==
          "systemd in the guest is in emergency mode and waits for a person: Timed out waiting for device "
          "/dev/disk/by-label/data. Dependency failed for /data.");
}

TEST_CASE("the unit that led to emergency mode is named, whether systemd writes in colour or to the kernel's log") {
    const auto why = [](const std::string &console) {
        return ending_of(heard({{RunEvent::phase, "switch_root"}}),
                         {.exit_code = 122, .console = base::printable_lines(console + "\nYou are in emergency mode.\n")})
            .why.substr(std::string_view("systemd in the guest is in emergency mode and waits for a person").size());
    };
    // As systemd prints them on a serial line.
    CHECK(why("[\x1b[0;1;31mFAILED\x1b[0m] Failed to mount \x1b[0;1;39mdata.mount\x1b[0m - /data.\n"
              "[\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for \x1b[0;1;39mlocal-fs.target\x1b[0m.") ==
          ": Failed to mount data.mount - /data. Dependency failed for local-fs.target.");
    CHECK(why("[   12.479145] systemd[1]: Failed to mount data.mount - /data.") == ": Failed to mount data.mount - /data.");
    CHECK(why("[    6.270042] systemd[1]: Failed to find module 'autofs4'").empty());
    CHECK(why("?[?[31").empty());
}

TEST_CASE(
    "a device of the fstab that never comes is named with the unit that waited for it, and so is the option that passes it "
    "over") {
    // As systemd 252 wrote it to a serial line. It shortens a name in the middle of its colour.
    const std::string console = base::printable_lines(
        "[    \x1b[0;31m*\x1b[0;1;31m*\x1b[0m] Job dev-disk-by\\x2duuid-12CE\\x2dA60\xe2\x80\xa6tart running (1min 30s / 1min "
        "30s)\r\r\n"
        "\x1bM\r\x1b[K[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device \x1b[0;1;\xe2\x80\xa6[0m - "
        "/dev/disk/by-uuid/12CE-A600.\r\r\n"
        "\x1b[K[\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for \x1b[0;1;39mboot.mount\x1b[0m - /boot.\r\r\n"
        "[\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for \x1b[0;1;39mloca\xe2\x80\xa6s.target\x1b[0m - Local File "
        "Systems.\r\r\n"
        "You are in emergency mode. After logging in, type \"journalctl -xb\" to view\r\n");
    const Heard all = heard({{RunEvent::phase, "switch_root"}, {RunEvent::emergency, ""}});
    const Ending read = ending_of(all, {.exit_code = 125, .console = console});
    CHECK(read.why ==
          "Timed out waiting for device \u2026 - /dev/disk/by-uuid/12CE-A600. Dependency failed for boot.mount - /boot.");
    CHECK(
        read.remedy ==
        "pass --fstab no so that systemd ignores the system's fstab, or fix that unit, or its line in the fstab (nofail), in the "
        "guest's configuration");
    // Nothing reads the table, so it is another unit's.
    CHECK(ending_of(all, {.exit_code = 125, .console = console, .fstab_ignored = true}).remedy ==
          "fix that unit, or its line in the fstab (nofail), in the guest's configuration");
    const Ending timeout = ending_of(heard({{RunEvent::phase, "switch_root"}}), {.exit_code = 122, .console = console});
    CHECK(timeout.why.ends_with("Dependency failed for boot.mount - /boot."));
    CHECK(timeout.remedy.starts_with("pass --fstab no "));
    // Without systemd's status lines the unit is in its journal alone.
    const Ending silent = ending_of(all, {.exit_code = 125, .console = "You are in emergency mode.\n"});
    CHECK(silent.why == "the console names no failed unit");
    CHECK(silent.remedy ==
          "with --append systemd.show_status=yes systemd names it there; pass --fstab no if a device in the fstab does not exist "
          "here");
}

TEST_CASE("a QEMU that was killed names the signal, and the OOM killer where the kernel's log does") {
    const Ending killed = ending_of(
        heard({{.kind = RunEvent::started, .number = 7}, {.kind = RunEvent::qemu_killed, .number = 9}}), {.exit_code = 123});
    CHECK(killed.what == "QEMU was killed by signal 9 (SIGKILL)");
    CHECK(killed.remedy.contains("dmesg"));
    const Ending oom =
        ending_of(heard({{.kind = RunEvent::qemu_killed, .number = 9}, {RunEvent::qemu_out_of_memory, ""}}), {.exit_code = 123});
    CHECK(oom.why == "the host ran out of memory, and its kernel killed QEMU (OOM killer)");
    constexpr auto line =
        "3,1143,98,-;Out of memory: Killed process 711 (qemu-system-x86) total-vm:3015732kB, anon-rss:1048576kB, file-rss:0kB";
    CHECK(hostside::names_oom_kill(line, 711));
    CHECK_FALSE(hostside::names_oom_kill(line, 71));
    CHECK(
        hostside::names_oom_kill("3,1,98,-;Memory cgroup out of memory: Killed process 711 (qemu-system-x86) total-vm:1kB", 711));
    const Ending said =
        ending_of(heard({{RunEvent::qemu_said, "qemu: no"}, {RunEvent::qemu_said, "really"}}), {.exit_code = 123});
    CHECK(hostside::cause(said) == "QEMU failed: qemu: no; really");
}

TEST_CASE("a disk of the host that took no more is the remedy, whatever then failed in the guest") {
    const Ending e = ending_of(heard({{RunEvent::phase, "mounts"},
                                      {RunEvent::disk_full, "root"},
                                      {RunEvent::stage1_failure, "write: Input/output error"}}),
                               {.exit_code = 120});
    CHECK(e.remedy == "the host had no space for the guest's disk 'root'; free some");
}

TEST_CASE("emergency mode is noticed on the console, however its line comes in pieces, and no other line is taken for it") {
    hostside::EmergencyWatch watch;
    CHECK_FALSE(watch.take("[  OK  ] Reached target emergency.target.\r\nYou are in emer"));
    CHECK(watch.take("gency mode. After logging in, type \"journalctl -xb\" to view\r\n"));
    CHECK(hostside::EmergencyWatch().take(
        "\x1b[!p\x1b[?7h\x1b]104\x1b\\\r\nCannot open access to console, the root account is locked.\n"));
    CHECK(hostside::EmergencyWatch().take("\r\x1b[0m\x1b[!pYou are in emergency mode."));
    CHECK_FALSE(hostside::EmergencyWatch().take("log: You are in emergency mode\nYou are in rescue mode.\n"));
    CHECK_FALSE(hostside::EmergencyWatch().take(std::string(100'000, 'x') + "You are in emergency mode"));
}

TEST_CASE("emergency mode is an ending of its own, with the unit that failed") {
    const Heard all = heard({{RunEvent::phase, "switch_root"}, {RunEvent::emergency, ""}});
    CHECK(hostside::how_far(all) == "stage 2: emergency mode");
    CHECK(hostside::cause(ending_of(all, {.exit_code = 125, .console = "[FAILED] Failed to mount data.mount - /data.\n"})) ==
          "systemd in the guest is in emergency mode and waits for a person: Failed to mount data.mount - /data.");
    CHECK(ending_of(all, {.exit_code = 125}).why == "the console names no failed unit");
    CHECK(hostside::last_words(ending_of(all, {.exit_code = 125}), 125, 1, "runvm logs web").back().ends_with("exit status 125"));
}
