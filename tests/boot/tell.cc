// What the running system reports with the stage1 program.

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("stage1 tell says from stage 2 that the machine is ready, and which status it ends with, or how a service fared") {
    Machine machine;
    std::filesystem::copy_file(boot_test::build_directory() / "stage1", machine.xchg() + "/stage1");
    const Boot b = machine.boot({.script = R"(set -e
for wrong in '' 'exit' 'exit x' 'exit 256' 'exit -1'; do
    if /tmp/xchg/stage1 tell $wrong >/dev/null 2>&1; then echo "taken: tell $wrong"; fi
done
/tmp/xchg/stage1 tell ready
echo "told with $?"
exec 3<>/dev/vport$(grep -l -x org.nixos.runvm.status /sys/class/virtio-ports/*/name | grep -o '[0-9][0-9]*p[0-9]*')
/tmp/xchg/stage1 tell ready || echo "not told with $?"
exec 3>&-
# As an ExecStopPost= whose service was killed; the first status counts.
SERVICE_RESULT=signal EXIT_CODE=killed EXIT_STATUS=KILL /tmp/xchg/stage1 tell exit
exit 42)"});
    CHECK(b.exit_code == 119);
    CHECK_THAT(b.console, ContainsSubstring(" s: ready") && ContainsSubstring("told with 0\r\n") &&
                              !ContainsSubstring("taken:") && ContainsSubstring("Resource busy") &&
                              ContainsSubstring("not told with 1\r\n") &&
                              ContainsSubstring(" s: the guest failed with status 119"));
}

TEST_CASE("systemd's own times are in the report: the kernel before stage 1, and stage 2 after it until all is started") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string report = machine.xchg() + ".json";
    // The process that sends them ends when done.
    const Boot b =
        machine.boot({.system = "systemd",
                      .script = "for i in $(seq 120); do grep -qsx stage1-times /proc/[0-9]*/comm || exit 5; sleep 1; done",
                      .arguments = {"--report", report},
                      .timeout_s = 480});
    CHECK(b.exit_code == 5);
    const std::string shown = boot_test::must_run({boot_test::build_directory() / "runvm", "report", report});
    INFO(shown);
    CHECK_THAT(shown, ContainsSubstring(": stage 1 took ") && ContainsSubstring(" before it, stage 2 ") &&
                          ContainsSubstring("stage 2      systemd, until it had started everything") &&
                          ContainsSubstring("stage 2      the system's activation, until systemd"));
}

}  // namespace
