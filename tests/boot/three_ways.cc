// The three ways into a machine: /init itself is every other test's; here a scripted stage 1, and systemd in the initrd.

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// Runs a script of tests/support that writes an initrd; the repository is where make was started.
void make_initrd(const std::vector<std::string> &argv) {
    const auto exit = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
}

TEST_CASE("a scripted stage 1 that calls stage1's commands boots, and again on the same disk") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd";
    make_initrd({"tests/support/shell-initrd", initrd, "tests/boot/initrds/scripted-init.sh",
                 (boot_test::build_folder() / "stage1").string() + "=/bin/stage1", "pgrep", "/bin/sleep=/bin/real-sleep"});
    for (const std::string disk : {"formatted ext4 UUID=", "kept ext4 UUID="}) {
        const Boot b = machine.boot({.script = R"sh(set -e
test -e /etc/NIXOS
echo here >/nix/store/new
nix-store -qR $(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline) | wc -l
echo "left over: $(cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -o -e '[s]leep 1001' -e '@[d]aemon' | tr '\n' ' ')"
exit 4)sh",
                                     .arguments = {"--initrd", initrd}});
        CHECK(b.exit_code == 4);
        CHECK_THAT(b.console, ContainsSubstring(disk) && ContainsSubstring("union: was mounted at") &&
                                  ContainsSubstring("switching the root") && ContainsSubstring("left over: @daemon") &&
                                  !ContainsSubstring("sleep 1001"));
    }
}

}  // namespace
