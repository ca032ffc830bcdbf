// A fleet as derivations: what the expression means, evaluated by real Nix if it is installed, and what is refused.
// tests/nix-fleet runs two real builders.
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "hostside/fleet/nix_engine.h"
#include "hostside/fleet/nix_expression.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

using Catch::Matchers::ContainsSubstring;

const std::string of_store = "/nix/store/0z9g9qlyagz98ly69mvg39klnr3bzy0d-";

hostside::Fleet two_groups() {
    return {
        .name = "checks",
        .nodes = {{.name = "a",
                   .description = std::format(R"({{"toplevel":"{}sys"}})", of_store),
                   .command = {"sh", "-ec", "echo \"$HOME\" ${x} \\ '' \n\r"},
                   .memory_mib = 512,
                   .cores = 2},
                  {.name = "server",
                   .description = R"({"accelerator":"tcg"})",
                   .service = true,
                   .memory_mib = 256,
                   .cores = 1,
                   .vlans = {1}},
                  {.name = "client", .description = R"({"accelerator":"tcg"})", .memory_mib = 256, .cores = 1, .vlans = {1}}}};
}

std::string refusal(const std::string &description) {
    const auto ok = hostside::only_of_the_store({.name = "m", .description = description});
    return ok ? "" : base::message(ok.error());
}

}  // namespace

TEST_CASE("a group's derivation has the paths of the store that its machines name, what they need of a builder, and their file") {
    const auto fleet = two_groups();
    const auto groups = hostside::groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; });
    REQUIRE(groups.size() == 2);
    const support::ScratchDirectory scratch;
    for (const char *name : {"runvm", "stage1", "other"}) std::ofstream(scratch.path(name)) << name;
    const std::string text = hostside::nix_expression({.fleet = fleet,
                                                       .groups = groups,
                                                       .runvm = scratch.path("runvm"),
                                                       .qemu_path = "",
                                                       .features = {"nixos-test"},
                                                       .again = {{1, "17"}}});
    CHECK_THAT(text, ContainsSubstring(std::format("paths = [ \"{}sys\" ];", of_store)) &&
                         ContainsSubstring(R"(features = [ "nixos-test" "kvm" ];)") &&
                         ContainsSubstring(R"(features = [ "nixos-test" ];)") && ContainsSubstring("memory = \"768\";") &&
                         ContainsSubstring("again = \"17\";"));
    std::ofstream(scratch.path("fleet.nix")) << text;
    if (!base::run({.argv = {"nix-instantiate", "--version"}, .capture_output = true})) SKIP("no Nix here");
    const auto parsed = base::run({.argv = {"nix-instantiate", "--parse", scratch.path("fleet.nix")}, .capture_output = true});
    REQUIRE(parsed);
    INFO(parsed->output);
    CHECK(parsed->status == 0);
}

TEST_CASE("a builder with KVM is wanted for a group with a machine that may use it, and not for one of emulated machines") {
    const auto features_with = [](const std::string &accelerator, const std::vector<std::string> &features = {}) {
        hostside::Fleet fleet = two_groups();
        fleet.nodes.erase(fleet.nodes.begin());
        if (!accelerator.empty()) fleet.nodes[0].description = std::format(R"({{"accelerator":"{}"}})", accelerator);
        const auto groups = hostside::groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; });
        REQUIRE(groups.size() == 1);
        const std::string text = hostside::nix_expression(
            {.fleet = fleet, .groups = groups, .runvm = "/bin/runvm", .qemu_path = "", .features = features, .again = {}});
        const std::string begin = "      features = ";
        const size_t at = text.find(begin);
        REQUIRE(at != std::string::npos);
        return text.substr(at + begin.size(), text.find('\n', at) - at - begin.size());
    };
    CHECK(features_with("") == "[ ];");
    CHECK(features_with("tcg", {"big"}) == R"([ "big" ];)");
    // The other machine of the group stays emulated.
    CHECK(features_with("kvm") == R"([ "kvm" ];)");
    CHECK(features_with("auto", {"big"}) == R"([ "big" "kvm" ];)");
    CHECK(features_with("auto", {"kvm"}) == R"([ "kvm" ];)");
}

TEST_CASE("paths of the store are found wherever they stand, each once") {
    CHECK(hostside::store_paths_in(std::format(R"(["{0}b/bin","x{0}a.\n","/nix/store/short-a","/nix/store/","{0}b"])",
                                               of_store)) == std::vector{of_store + "a.", of_store + "b"});
    CHECK(hostside::store_paths_in("/nix/store/0z9g9qlyagz98ly69mvg39klnr3bzy0e-e-is-no-letter-of-a-hash").empty());
    CHECK(hostside::store_paths_in(of_store).empty());
}

TEST_CASE("what a build on another host would not see is refused by name") {
    CHECK(refusal(std::format(R"({{"toplevel":"{0}sys","qemu":{{"program":"{0}q/bin/qemu"}},"diskImage":"disk.qcow2"}})",
                              of_store)) == "");
    CHECK(refusal(R"({"qemu":{"program":"qemu-kvm"}})") == "");
    CHECK(refusal(R"({"toplevel":"/home/me/result"})") ==
          "give Nix 'm': toplevel is /home/me/result, which a build on another host can't see; add it to the store (nix-store "
          "--add), or leave it out");
    for (const auto &[description, key] :
         {std::pair{R"({"sharedDir":"/home/me"})", "sharedDir"},
          {R"({"sharedDirectories":[{"tag":"a","source":"/srv","target":"/a"}]})", "sharedDirectories"},
          {R"({"drives":[{"file":"/srv/data"}]})", "drives"},
          {R"({"diskImage":"/srv/disk"})", "diskImage"},
          {R"({"qemu":{"program":"/usr/bin/qemu"}})", "qemu.program"},
          {R"({"store":"/other/store"})", "store"}})
        CHECK_THAT(refusal(description), ContainsSubstring(std::string("'m': ") + key + " is "));
}

// As Nix 2.8 and 2.34 print it.
TEST_CASE(
    "a build that runvm refused, or that no builder has the features for, is not tried again; one whose builder was lost is") {
    CHECK(hostside::hopeless_in(
              "error: build of '/nix/store/a.drv' on 'ssh://b' failed: builder for '/nix/store/a.drv' failed with "
              "exit code 123\n"
              "error: builder for '/nix/store/a.drv' failed with exit code 1\n"
              "cannot build on 'ssh://b': error: cannot connect to 'b'\n")
              .empty());
    CHECK(hostside::hopeless_in("error: builder for '/nix/store/b.drv' failed with exit code 124;\n") ==
          std::vector<std::string>{"/nix/store/b.drv"});
    CHECK(hostside::hopeless_in("error: Cannot build '/nix/store/c.drv'.\n       Reason: builder failed with exit code 124.\n") ==
          std::vector<std::string>{"/nix/store/c.drv"});
    CHECK(hostside::hopeless_in("error: a 'x86_64-linux' with features {kvm} is required to build '/nix/store/d.drv', but I am a "
                                "'x86_64-linux' with features {}\n") == std::vector<std::string>{"/nix/store/d.drv"});
}
