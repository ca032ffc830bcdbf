// A machine at a person's terminal: runvm on a pseudo terminal, with a description like the NixOS module's.

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"
#include "tests/support/terminal.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

// The last state of a line that was overwritten repeatedly.
bool shows_phases(const std::string &screen) {
    const size_t end = screen.find(" s\x1b[K\r\n");
    if (end == std::string::npos) return false;
    const std::string line = screen.substr(screen.rfind('\r', end - 1) + 1, end - screen.rfind('\r', end - 1) - 1);
    return line.starts_with("disk ") && line.contains(", kernel ") && line.contains(", stage 1 ");
}

TEST_CASE("a NixOS description boots at a terminal: phases, then the console, into which one types") {
    const std::string parts = boot_test::fixture();
    const std::string toplevel = boot_test::fixture_toplevel();
    boot_test::Machine machine;
    const fs::path directory = fs::path(machine.xchg()).parent_path();
    fs::create_directory(directory / "a directory, ü");
    std::ofstream(directory / "a directory, ü" / "there") << "shared\n";
    std::ofstream(machine.xchg() + "/cmd") << R"sh(exec </dev/ttyS0
cat '/mnt/a directory/there'
touch '/mnt/a directory/mine' 2>&1
echo "registered: $(nix-store -q --references $(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline) | wc -l)"
echo 'who is there?'
read -r name
echo "it is $name"
exit 7
)sh";
    std::ofstream(directory / "vm.json") << std::format(R"({{
  "name": "web", "memorySize": 512, "diskSize": 512, "diskImage": "./web.qcow2", "graphics": false, "cores": 1,
  "msize": 131072, "vlans": [1], "interfaces": {{}}, "emptyDiskImages": [64], "restrictNetwork": false,
  "store": "{}/root/nix/store", "toplevel": "{}", "additionalPaths": ["{}"],
  "writableStore": true, "writableStoreUseTmpfs": true, "useBootLoader": false, "useNixStoreImage": false,
  "sharedDirectories": {{ "src": {{ "source": "./a directory, ü", "target": "/mnt/a directory", "readOnly": true }} }},
  "qemu": {{ "options": ["-device 'virtio-balloon-pci'"], "consoles": ["tty0", "ttyS0,115200n8"],
             "networkingOptions": [], "guestAgent": {{ "enable": true }}, "diskInterface": "virtio" }}
}})",
                                                        parts, toplevel, toplevel);
    const support::Session session = support::at_a_terminal(
        {"/usr/bin/env", "-C", directory.string(), "USE_TMPDIR=1", "TMPDIR=" + directory.string(),
         (boot_test::build_directory() / "runvm").string(), "run", "--config", "vm.json", "--accel", "tcg", "--timeout", "240"},
        "who is there?", "a person\r");
    INFO(session.screen);
    CHECK(session.exit_code == 7);
    CHECK(shows_phases(session.screen));
    CHECK_FALSE(session.screen.contains("Linux version"));  // before stage 2: in the log, not on the screen
    CHECK_THAT(session.screen, ContainsSubstring("\nshared\r\n") && ContainsSubstring("Read-only file system") &&
                                   ContainsSubstring("it is a person") && ContainsSubstring("created "));
    // No regInfo: the closure of additionalPaths came in the initrd.
    CHECK_THAT(session.screen, ContainsSubstring("registered: ") && !ContainsSubstring("registered: 0"));
    CHECK(fs::exists(directory / "web.qcow2"));
}

TEST_CASE("a boot at a terminal names the device that it waits for, how long, what failed and how to leave") {
    (void)boot_test::fixture();
    boot_test::Machine machine;
    auto words = machine.words({.parameters = {"root=serial=absent", "stage1.device-timeout=4"}, .disk = false});
    words.insert(words.begin() + 1, "TERM=xterm");
    const support::Session session = support::at_a_terminal(words, "ctrl-a x ends the machine", "\x01x");
    INFO(session.screen);
    CHECK(session.exit_code == 120);
    CHECK_THAT(session.screen, ContainsSubstring(" s (load modules ") && ContainsSubstring(" s (wait for serial=absent 0/4 s)") &&
                                   ContainsSubstring(" s (wait for serial=absent 3/4 s)") &&
                                   ContainsSubstring("stage 1 failed: wait for 'serial=absent': "));
    // In color, and after all of the console's output.
    const size_t last = session.screen.rfind("\x1b[1;31mrunvm: ");
    REQUIRE(last != std::string::npos);
    CHECK_THAT(session.screen.substr(last), ContainsSubstring("stage 1 failed in its phase 'devices'") &&
                                                ContainsSubstring("why: wait for 'serial=absent'") &&
                                                ContainsSubstring("look: runvm logs "));
}

// As a person types it in bash, with job control.
std::string line_of(const std::vector<std::string> &words) {
    std::string line;
    for (const auto &word : words) line += "'" + word + "' ";
    return line;
}

TEST_CASE("a boot that is stopped with ctrl-z goes on in the foreground or in the background, and the shell has its status") {
    (void)boot_test::fixture();
    const std::string then = GENERATE("fg", "bg; wait %1");
    boot_test::Machine machine;
    const std::string run = line_of(machine.words({.script = "echo the guest; exit 7", .disk = false}));
    // The shell gets what is typed now; a background process that reads it is stopped.
    const support::Session session = support::at_a_terminal(
        {"/bin/bash", "-c", "set -m\n" + run + "\necho \"stopped: $?\"\n" + then + "\necho \"ended: $?\"\n"}, " s ...", "\x1a\n");
    INFO(session.screen);
    CHECK_THAT(session.screen, ContainsSubstring("stopped: 148") && ContainsSubstring("the guest") &&
                                   ContainsSubstring("the guest failed with status 7") && ContainsSubstring("ended: 7"));
}

TEST_CASE("a run of nohup goes on when its terminal is gone") {
    (void)boot_test::fixture();
    boot_test::Machine machine;
    const std::string run = line_of(machine.words({.script = "exit 7", .disk = false})), place = machine.xchg() + "/";
    pid_t shell = -1;
    {
        support::Terminal terminal;
        shell = ::fork();
        REQUIRE(shell >= 0);
        if (shell == 0) {
            (void)::setsid();
            (void)::ioctl(terminal.program_side(), TIOCSCTTY, 0);
            for (const int standard : {0, 1, 2}) (void)::dup2(terminal.program_side(), standard);
            const std::string line = "trap '' HUP; nohup " + run + " --json >" + place + "log 2>&1; echo $? >" + place + "status";
            ::execl("/bin/bash", "bash", "-c", line.c_str(), nullptr);
            ::_exit(127);
        }
        const auto started = [&] { return base::read_file(place + "log").value_or("").contains("\"event\":\"started\""); };
        CHECK(boot_test::within(60, started));
    }  // the terminal hangs up
    int status = 0;
    REQUIRE(::waitpid(shell, &status, 0) == shell);
    INFO(base::read_file(place + "log").value_or("no log"));
    CHECK(base::read_file(place + "status").value_or("") == "7\n");
}

TEST_CASE("a run whose standard descriptors are closed, or can't be written, ends with the guest's status") {
    (void)boot_test::fixture();
    const std::string how = GENERATE("<&- >&- 2>&-", "</dev/full >/dev/full 2>/dev/full");
    boot_test::Machine machine;
    std::vector<std::string> words{"/bin/sh", "-c", "exec \"$@\" " + how, "sh"};
    for (auto &word : machine.words({.script = "exit 7", .disk = false})) words.push_back(std::move(word));
    const auto exit = base::run({.argv = words});
    REQUIRE(exit);
    CHECK(exit->status == 7);
}

TEST_CASE("what make shell boots has a prompt with job control, and ends with the shell's exit status") {
    (void)boot_test::fixture();  // skips without a fixture
    const support::Session session =
        support::at_a_terminal({"/usr/bin/env", "TERM=vt100", "tests/support/newcomer-run",
                                (boot_test::build_directory() / "runvm").string(), "--shell"},
                               "root@machine:~]# ", "tty; sleep 1000 & kill %1; nix-store --version; exit $((40 + 2))\r");
    INFO(session.screen);
    CHECK(session.exit_code == 42);
    CHECK_THAT(session.screen, ContainsSubstring("\n/dev/ttyS0\r\n") && ContainsSubstring("nix-store (Nix)") &&
                                   !ContainsSubstring("no job control"));
}

}  // namespace
