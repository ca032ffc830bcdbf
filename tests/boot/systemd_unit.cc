// `runvm export`: how a real systemd in a guest reads the generated unit.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// Replaces the program by printf, which prints its arguments, and removes what only works on the host.
constexpr const char *script = R"sh(set -e
printf=$(type -P printf)
mkdir -p /run/systemd/system
sed -e "s|^ExecStart=\"[^\"]*\"|ExecStart=\"$printf\" \"<%%s>\\\\\\\\n\"|" -e 's|^Type=.*|Type=oneshot|' \
    -e 's|^WorkingDirectory=.*|WorkingDirectory=/tmp|' -e "s|^ExecStop=\"[^\"]*\"|ExecStop=\"$(type -P true)\"|" \
    -e 's|^\[Service\]|&\nStandardOutput=file:/tmp/xchg/said|' /tmp/xchg/exported >/run/systemd/system/exported.service
grep ^Exec /run/systemd/system/exported.service
systemctl daemon-reload
systemctl start exported.service
systemctl show -P SuccessExitStatus -P Environment exported.service
if type -P systemd-analyze; then systemd-analyze verify --man=no /run/systemd/system/exported.service && echo "verified: $?"; fi
exit 9)sh";

TEST_CASE("a unit that runvm export writes gives runvm the words that it was given, whatever is in them") {
    Machine machine;
    const std::vector<std::string> words{"--name=web",
                                         R"(--disk-image=/a b/%h"$HOME${HOME}'\x41\\.qcow2)",
                                         "--kernel-params=a=1\nb\tc \u00e9 ;",
                                         "--shared-dir=",
                                         "--toplevel=/nix/store/none",
                                         "--",
                                         "-device",
                                         ";",
                                         "$$"};
    std::vector<std::string> argv{boot_test::build_directory() / "runvm",
                                  "export",
                                  "--format=systemd",
                                  "--notify-ready",
                                  "-o",
                                  machine.xchg() + "/exported"};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto exported = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exported);
    INFO(exported->output);
    REQUIRE(exported->status == 0);
    const std::string unit = base::read_file(machine.xchg() + "/exported").value();
    CHECK_THAT(unit, ContainsSubstring("\nType=notify\n") && ContainsSubstring(" stop --patience 60 \"web\"\n") &&
                         ContainsSubstring(std::format("\nWorkingDirectory={}\n", std::filesystem::current_path().string())));
    const Boot b = machine.boot({.system = "systemd", .script = script});
    INFO(b.console);
    CHECK(b.exit_code == 9);
    const std::string said = base::read_file(machine.xchg() + "/said").value_or("");
    CHECK_THAT(said, ContainsSubstring("<run>\n<--notify-ready>\n<--name=web>\n"));
    for (const auto &word : words) CHECK_THAT(said, ContainsSubstring("<" + word + ">\n"));
    CHECK_THAT(b.console, ContainsSubstring("verified: 0"));
}

}  // namespace
