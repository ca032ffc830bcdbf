// What a launch is going to do, from facts that are made up: plan_launch() is pure.

#include "hostside/launch/plan.h"

#include <algorithm>
#include <catch_amalgamated.hpp>

#include "hostside/description/description.h"

namespace {

using namespace hostside;

Machine machine(const std::string &json) {
    auto made = machine_from({{"test", json, false}});
    REQUIRE(made);
    return *made;
}

LaunchPlan plan(const std::string &json, RootImageFacts root) {
    LaunchFacts facts;
    facts.host.qemu = "qemu";
    facts.host.run_folder = "/r";
    facts.boot.boot.command_line = "quiet";
    facts.root = std::move(root);
    auto made = plan_launch(machine(json), std::move(facts));
    REQUIRE(made);
    return *made;
}

std::string stamp(const LaunchPlan &plan) {
    for (const auto &step : plan.steps)
        if (const auto *stamp = std::get_if<WriteStamp>(&step)) return stamp->toplevel;
    return "no stamp";
}

TEST_CASE("a root disk is stamped with what boots from it, a boot loader's disk too") {
    const std::string loader = R"({"diskImage":"/d","useBootLoader":true,"bootDisk":"/boot.qcow2"})";
    CHECK(stamp(plan(R"({"diskImage":"/d","toplevel":"/nix/store/0-system"})", {})) == "/nix/store/0-system");
    CHECK(stamp(plan(R"({"diskImage":"/d","kernel":"/kernel","init":"/x"})", {})) == "/kernel");
    CHECK(stamp(plan(loader, {})) == "/boot.qcow2");
    RootImageFacts there;
    there.there = true;
    there.made_for = "/boot.qcow2";
    CHECK(plan(loader, there).notes.empty());
    there.made_for = "/nix/store/0-system";
    CHECK(std::ranges::contains(plan(loader, there).notes,
                                "warning: /d was made for /nix/store/0-system, and now boots /boot.qcow2; --fresh starts over"));
}

}  // namespace
