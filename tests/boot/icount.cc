// Boots compared by instructions: with --icount QEMU derives the guest's clock from them, whatever else the host does.

#include <catch_amalgamated.hpp>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

TEST_CASE(
    "two boots under --icount used exactly as many instructions until their first request to a share, and about as many to the "
    "end") {
    boot_test::Machine machine;
    (void)boot_test::fixture();
    const auto counted = [&](const std::string &name, const std::string &parameter) {
        std::string report = machine.xchg() + "." + name + ".json";
        const boot_test::Boot b =
            machine.boot({.parameters = {parameter}, .arguments = {"--icount", "--report", report}, .disk = false});
        CHECK(b.exit_code == 0);
        return report;
    };
    const std::string first = counted("first", "quiet"), second = counted("second", "quiet"),
                      less = counted("less", "stage1.register=off");
    const auto gate = [&](const std::string &a, const std::string &b, const char *percent,
                          const std::vector<std::string> &phases = {}) {
        std::vector<std::string> argv{
            boot_test::build_directory() / "runvm", "report", "--compare", a, b, "--cpu", "--limit", percent};
        for (const std::string &phase : phases) argv.insert(argv.end(), {"--phase", phase});
        const auto exit = base::run({.argv = argv, .capture_output = true});
        REQUIRE(exit);
        UNSCOPED_INFO(exit->output);
        return exit->status;
    };
    CHECK(gate(first, second, "0", {"early", "modules"}) == 0);
    CHECK(gate(second, first, "0", {"early", "modules"}) == 0);
    CHECK(gate(first, second, "10") == 0);
    CHECK(gate(second, first, "10") == 0);
    CHECK(gate(less, first, "10") == 1);
}

}  // namespace
