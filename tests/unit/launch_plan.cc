// The plan of a launch, made from invented facts: plan_launch() is pure.

#include "hostside/launch/plan.h"

#include <fcntl.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hostside/description/description.h"
#include "hostside/launch/apply.h"
#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

using namespace hostside;
namespace fs = std::filesystem;

Machine machine(const std::string &json) {
    auto made = machine_from({{"test", json, false}});
    REQUIRE(made);
    return *made;
}

LaunchPlan plan(const std::string &json, RootImageFacts root) {
    LaunchFacts facts;
    facts.host.qemu = "qemu";
    facts.host.run_directory = "/r";
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
    CHECK(std::ranges::contains(
        plan(loader, there).notes,
        "warning: /d was made for /nix/store/0-system, but now boots /boot.qcow2; pass --fresh to start over"));
}

TEST_CASE("an image grows to the diskSize that is said, is never made smaller, and of the default nothing is made") {
    constexpr uint64_t mib = uint64_t{1} << 20;
    RootImageFacts root;
    root.there = true;
    root.size_bytes = 512 * mib;
    const auto grown = [](const LaunchPlan &made) {
        for (const auto &step : made.steps)
            if (const auto *grow = std::get_if<GrowImage>(&step)) return grow->mib;
        return 0;
    };
    const auto larger = plan(R"({"diskImage":"/d","diskSize":2048,"kernel":"/k","init":"/x"})", root);
    CHECK(grown(larger) == 2048);
    CHECK(std::ranges::contains(larger.notes, "/d grows from 512 to 2048 MiB, and its file system grows too"));
    CHECK(larger.host.command_line.contains(" rootflags=x-nixos.autoresize"));
    const auto smaller = plan(R"({"diskImage":"/d","diskSize":200,"kernel":"/k","init":"/x"})", root);
    CHECK(grown(smaller) == 0);
    CHECK(std::ranges::contains(smaller.notes, "/d has 512 MiB, and images never shrink: diskSize 200 is ignored"));
    const auto unsaid = plan(R"({"diskImage":"/d","kernel":"/k","init":"/x"})", root);
    CHECK(grown(unsaid) == 0);
    CHECK_FALSE(unsaid.host.command_line.contains("rootflags="));
}

TEST_CASE("a raw root disk is made, grown and laid under as what it is, and a device is not made larger") {
    const auto machine_of = [](const std::string &more) {
        return R"({"diskImage":"/d","diskImageFormat":"raw","diskSize":2048,"kernel":"/k","init":"/x")" + more + "}";
    };
    const auto format_of = [](const LaunchPlan &made) {
        for (const auto &step : made.steps) {
            if (const auto *image = std::get_if<MakeImage>(&step)) return "made " + image->format;
            if (const auto *grow = std::get_if<GrowImage>(&step)) return "grown " + grow->format;
            if (const auto *over = std::get_if<OverlayImage>(&step)) return "over " + over->backing_format;
        }
        return std::string("none");
    };
    const auto disk_of = [](const LaunchPlan &made, const std::string &json) {
        const auto argv = qemu_argv(machine(json), made.host);
        REQUIRE(argv);
        return *std::ranges::find_if(*argv, [](const std::string &word) { return word.starts_with("if=none,id=root,"); });
    };
    RootImageFacts there;
    there.there = true;
    there.size_bytes = uint64_t{512} << 20;
    const std::string kept = machine_of(""), ephemeral = machine_of(R"(,"ephemeral":true)");
    CHECK(format_of(plan(kept, {})) == "made raw");
    CHECK(format_of(plan(kept, there)) == "grown raw");
    CHECK(format_of(plan(ephemeral, there)) == "over raw");
    CHECK(format_of(plan(ephemeral, {})) == "made qcow2");
    CHECK(disk_of(plan(kept, there), kept).contains(",file=/d,format=raw,"));
    CHECK(disk_of(plan(ephemeral, there), ephemeral).contains(",file=/r/root.qcow2,format=qcow2,"));
    there.device = true;
    const auto device = plan(kept, there);
    CHECK(format_of(device) == "none");
    CHECK(std::ranges::contains(device.notes, "/d has 512 MiB, and a device keeps its size: diskSize 2048 is ignored"));
}

TEST_CASE("what the cache had is used before anything is done, and if it went meanwhile nothing is") {
    const support::ScratchDirectory scratch;
    ::setenv("XDG_CACHE_HOME", scratch.path("cache").c_str(), 1);
    const std::string kernel = cache_path("vmlinux-of-old"), xchg = scratch.path("run/xchg");
    LaunchFacts facts;
    facts.host.qemu = "qemu";
    facts.host.run_directory = scratch.path("run");
    facts.host.xchg = xchg;
    facts.boot.boot.command_line = "quiet";
    facts.boot.kernel = {.path = kernel, .bytes = "", .cached = true};
    const auto plan = plan_launch(machine(R"({"diskImage":"","kernel":"/k","init":"/x"})"), std::move(facts));
    ::unsetenv("XDG_CACHE_HOME");
    REQUIRE(plan);
    REQUIRE(fs::create_directory(scratch.path("run")));

    const auto gone = apply(*plan);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == ESTALE);
    CHECK(fs::is_empty(scratch.path("run")));

    REQUIRE(base::make_directories_at(AT_FDCWD, fs::path(kernel).parent_path().string()));
    std::ofstream(kernel) << "a kernel";
    fs::last_write_time(kernel, fs::file_time_type::clock::now() - std::chrono::hours(24));
    CHECK(apply(*plan));
    CHECK((fs::last_write_time(kernel) > fs::file_time_type::clock::now() - std::chrono::minutes(1)));
}

}  // namespace
