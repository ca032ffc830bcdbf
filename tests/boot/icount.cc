// Boots compared by instructions: with -icount QEMU derives the guest's clock from them, whatever else the host does.

#include <catch_amalgamated.hpp>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

TEST_CASE(
    "two boots under -icount used as many instructions for stage 1, within what a gate allows, and one with more to do more") {
    boot_test::Machine machine;
    (void)boot_test::fixture();
    const auto counted = [&](const std::string &name, const std::string &parameter) {
        std::string report = machine.xchg() + "." + name + ".json";
        const boot_test::Boot b = machine.boot({.parameters = {"nokaslr", parameter},
                                                .arguments = {"--report", report, "--", "-icount", "shift=0,sleep=off"},
                                                .disk = false});
        CHECK(b.exit_code == 0);
        return report;
    };
    const std::string first = counted("first", "quiet"), second = counted("second", "quiet"),
                      less = counted("less", "stage1.register=off");
    const auto gate = [&](const std::string &a, const std::string &b, const char *percent) {
        const auto exit =
            base::run({.argv = {boot_test::build_directory() / "runvm", "report", "--compare", a, b, "--cpu", "--limit", percent},
                       .capture_output = true});
        REQUIRE(exit);
        UNSCOPED_INFO(exit->output);
        return exit->status;
    };
    CHECK(gate(first, second, "10") == 0);
    CHECK(gate(second, first, "10") == 0);
    CHECK(gate(less, first, "10") == 1);
}

}  // namespace
