// What the running system says of itself, with the program of stage 1.

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

}  // namespace
