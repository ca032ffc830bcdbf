// Fleet files, and the messages for wrong ones.
#include "hostside/fleet/fleet_file.h"

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <map>
#include <set>

#include "hostside/description/description.h"
#include "hostside/fleet/group_place.h"
#include "hostside/fleet/nix_expression.h"
#include "hostside/fleet/schedule.h"
#include "hostside/snapshot/place.h"
#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

using hostside::Node;

struct FleetFile {
    support::ScratchDirectory scratch;
    [[nodiscard]] base::Result<hostside::Fleet> read(const std::string &text) const {
        std::ofstream(scratch.path("fleet.json")) << text;
        return hostside::read_fleet(scratch.path("fleet.json"), [](const std::string &name) { return "/results/" + name; });
    }
};

hostside::Machine machine_of(const Node &node) { return hostside::machine_from({{node.name, node.description, false}}).value(); }

}  // namespace

TEST_CASE("a fleet's machines are its defaults, their description and what stands beside it, in this order") {
    const FleetFile file;
    std::ofstream(file.scratch.path("big.json")) << R"({"memorySize": 2048, "cores": 4, "vlans": [7]})";
    const auto fleet = file.read(R"({
        "name": "checks",
        "defaults": {"memorySize": 256, "accelerator": "tcg", "diskImage": ""},
        "nodes": {
            "plain": {},
            "big": {"description": "big.json", "system": "/nix/store/a-system", "vlans": [8], "timeout": 60,
                    "command": ["test", "-e", "/a b"], "after": "", "user": "alice"},
            "many": {"copies": 2, "script": "true", "description": {"diskImage": null, "interfaces": {"eth9": {"vlan": 9}}}},
            "server": {"service": true, "description": {"name": "other", "nodeNumber": 77}}
        }})");
    INFO((fleet ? "" : base::message(fleet.error())));
    REQUIRE(fleet);
    CHECK(fleet->name == "checks");
    REQUIRE(fleet->nodes.size() == 5);
    const auto &nodes = fleet->nodes;
    CHECK(nodes[0].name == "plain");
    CHECK(nodes[0].memory_mib == 256);
    CHECK(nodes[0].command.empty());
    const auto big = machine_of(nodes[1]);
    CHECK(big.name == "big");
    CHECK(big.memory_mib == 2048);
    CHECK(big.accelerator == "tcg");
    CHECK(big.toplevel == "/nix/store/a-system");
    CHECK(big.timeout_s == 60);
    CHECK(big.node_number == 2);
    CHECK(big.vlans == std::vector{7, 8});
    CHECK(nodes[1].vlans == std::vector{7, 8});
    CHECK(nodes[1].cores == 4);
    CHECK(nodes[1].command == std::vector<std::string>{"test", "-e", "/a b"});
    CHECK(nodes[1].after == "");
    CHECK(nodes[1].user == "alice");
    CHECK(nodes[2].name == "many-1");
    CHECK(nodes[3].name == "many-2");
    CHECK(nodes[3].command == std::vector<std::string>{"sh", "-ec", "true"});
    CHECK(nodes[3].vlans == std::vector{9});
    CHECK_FALSE(nodes[3].after);
    CHECK(nodes[4].service);
    CHECK(machine_of(nodes[4]).node_number == 77);
    CHECK(machine_of(nodes[4]).name == "server");
}

TEST_CASE("a machine of a fleet that names no disk has one among its results") {
    const FleetFile file;
    const auto fleet = file.read(R"({"nodes": {"a": {}, "b": {"description": {"diskImage": "/mine.qcow2"}}}})");
    REQUIRE(fleet);
    CHECK(machine_of(fleet->nodes[0]).disk_image == "/results/a/disk.qcow2");
    CHECK(machine_of(fleet->nodes[1]).disk_image == "/mine.qcow2");
    CHECK(fleet->name == "fleet");
}

TEST_CASE("a machine that is restored is what its snapshot was made from, without the fleet's defaults, and stays so for Slurm") {
    const FleetFile file;
    const std::string saved = file.scratch.path("saved");
    std::filesystem::create_directory(saved);
    std::filesystem::permissions(saved, std::filesystem::perms::owner_all);
    const hostside::Manifest manifest{
        .point = "ready", .description = R"({"memorySize":512,"accelerator":"tcg","snapshot":"ready","cores":2})", .disk = true};
    REQUIRE(base::replace_file(saved + "/manifest.json", hostside::manifest_text(manifest)));
    const std::string text = R"({"defaults": {"memorySize": 256, "extraModules": ["fuse"]},
        "nodes": {"booted": {}, "fork": {"copies": 2, "from": "saved", "script": "true", "timeout": 9, "description": {"restrictNetwork": true}}}})";
    const auto fleet = file.read(text);
    INFO((fleet ? "" : base::message(fleet.error())));
    REQUIRE(fleet);
    CHECK(fleet->nodes[0].from.empty());
    CHECK(fleet->nodes[0].memory_mib == 256);
    const auto fork = machine_of(fleet->nodes[2]);
    CHECK(fleet->nodes[2].from == saved);
    CHECK(fork.name == "fork-2");
    CHECK(fork.node_number == 3);
    CHECK(fork.memory_mib == 512);
    CHECK(fleet->nodes[2].cores == 2);
    CHECK(fork.extra_modules.empty());
    CHECK(fork.snapshot_point == "ready");
    CHECK(fork.timeout_s == 9);
    CHECK(fork.restrict_network);
    // A task of Slurm's reads its group's file, in another directory.
    const auto groups = hostside::groups_of(fleet->nodes, [](const std::string &) { return std::nullopt; });
    const auto again = file.read(hostside::group_json(*fleet, groups[2]));
    REQUIRE(again);
    CHECK(again->nodes[0].from == saved);
    CHECK(again->nodes[0].description == fleet->nodes[groups[2].members[0]].description);
    const auto refused = [&](const std::string &node) {
        const auto wrong = file.read(R"({"nodes": {"a": )" + node + "}}");
        REQUIRE_FALSE(wrong);
        return base::message(wrong.error());
    };
    CHECK(refused(R"({"from": "saved", "system": "/nix/store/x"})")
              .ends_with("'/nodes/a/system': a restored machine has the system of its snapshot (from)"));
    CHECK(
        refused(R"({"from": "absent"})") ==
        std::format("open snapshot '{}': No such file or directory; make one with runvm snapshot", file.scratch.path("absent")));
    const auto for_nix = hostside::only_of_the_store(fleet->nodes[2]);
    REQUIRE_FALSE(for_nix);
    CHECK(base::message(for_nix.error()).contains("it is restored from a snapshot, whose memory is its owner's alone"));
}

TEST_CASE("machines of a fleet have one snapshot if they differ only in what each fork has for itself") {
    const FleetFile file;
    const auto fleet = file.read(R"({"fork": true, "defaults": {"memorySize": 256}, "nodes": {
        "a": {"copies": 2, "script": "true"}, "b": {"timeout": 9, "command": ["false"], "user": "bob"}, "c": {},
        "booted": {"fork": false}, "larger": {"description": {"memorySize": 257}}, "later": {"after": "a.target"},
        "on-vlan": {"vlans": [1]}, "no-disk": {"description": {"diskImage": ""}},
        "own-disk": {"description": {"diskImage": "/mine.qcow2"}}}})");
    INFO((fleet ? "" : base::message(fleet.error())));
    REQUIRE(fleet);
    std::map<std::string, std::string> fork;
    std::set<std::string> different;
    for (const auto &node : fleet->nodes) {
        fork[node.name] = node.fork;
        different.insert(node.fork);
        CHECK(node.from.empty());
    }
    CHECK(fork["a-1"].size() == 16);
    for (const char *same : {"a-2", "b", "c", "own-disk"}) CHECK(fork[same] == fork["a-1"]);
    CHECK(fork["booted"].empty());
    CHECK(different.size() == 6);
    const auto refused = [&](const std::string &rest) {
        const auto wrong = file.read("{" + rest + "}");
        REQUIRE_FALSE(wrong);
        return base::message(wrong.error()).substr(file.scratch.path().size() + 1);
    };
    CHECK(refused(R"("fork": 1, "nodes": {"a": {}})") == "fleet.json '/fork': must be true or false");
    CHECK(refused(R"("nodes": {"a": {"fork": "yes"}})") == "fleet.json '/nodes/a/fork': must be true or false");
    CHECK(refused(R"("nodes": {"a": {"fork": true, "from": "saved"}})") ==
          "fleet.json '/nodes/a/fork': its snapshot is there already (from); leave one of the two out");
    CHECK(refused(R"("fork": true, "nodes": {"a": {"description": {"tpm": {"enable": true}}}})") ==
          "fleet.json '/nodes/a/fork': snapshot with 'a TPM': another program holds its state; leave it out");
}

TEST_CASE("a wrong fleet is refused with the place of what is wrong in it") {
    const FleetFile file;
    const auto message = [&](const std::string &text) {
        const auto fleet = file.read(text);
        REQUIRE_FALSE(fleet);
        std::string said = base::message(fleet.error());
        for (size_t at = 0; (at = said.find(file.scratch.path() + "/")) != std::string::npos;)
            said.erase(at, file.scratch.path().size() + 1);
        return said;
    };
    const auto of_node = [&](const std::string &node) { return message(R"({"nodes": {"a": )" + node + "}}"); };
    CHECK(message("[]") == "fleet.json: must be an object");
    CHECK(message("{") == "fleet.json: line 1, column 2: this is not valid JSON");
    CHECK(message("{}") == "fleet.json '/nodes': must be an object with a machine for each key");
    CHECK(message(R"({"nodes": {}})") == "fleet.json '/nodes': must be an object with a machine for each key");
    CHECK(message(R"({"node": {}})") == "fleet.json '/node': no such key; did you mean nodes?");
    CHECK(of_node("7") == "fleet.json '/nodes/a': must be an object");
    CHECK(of_node(R"({"comand": []})") == "fleet.json '/nodes/a/comand': no such key; did you mean command?");
    CHECK(of_node(R"({"command": "ls"})") ==
          R"(fleet.json '/nodes/a/command': must be a list of words, such as ["uname", "-a"])");
    CHECK(of_node(R"({"command": ["ls"], "script": "ls"})") ==
          "fleet.json '/nodes/a/command': a machine has a command or a script, not both");
    CHECK(of_node(R"({"user": "bob"})") ==
          "fleet.json '/nodes/a': after and user need a command or a script, and this machine has neither");
    CHECK(of_node(R"({"service": 1})") == "fleet.json '/nodes/a/service': must be true or false");
    CHECK(of_node(R"({"service": true, "script": "true"})") ==
          "fleet.json '/nodes/a/service': a service has no command of its own; it runs for the commands of the others");
    CHECK(of_node(R"({"service": true})") ==
          "fleet.json '/nodes': all machines are services, which run for others; at least one must end by itself");
    CHECK(of_node(R"({"copies": 1001})") == "fleet.json '/nodes/a/copies': must be from 1 to 1000");
    CHECK(of_node(R"({"copies": "2"})") == "fleet.json '/nodes/a/copies': must be a whole number");
    CHECK(of_node(R"({"description": 3})") ==
          "fleet.json '/nodes/a/description': must be a description, or the path of a file with one");
    CHECK(of_node(R"({"description": {"memorysize": 3}})") ==
          "fleet.json /nodes/a/description '/memorysize': no such option; did you mean memorySize?");
    CHECK(of_node(R"({"description": "absent.json"})") == "read 'absent.json': No such file or directory");
    CHECK(of_node(R"({"vlans": [0]})") == "fleet.json /nodes/a '/vlans/0': must be from 1 to 255, not 0");
    CHECK(message(R"({"nodes": {"a/b": {}}})") ==
          "fleet.json '/nodes/a~1b': a machine's name has letters, digits, '-' and '_', at most 48 characters");
    CHECK(message(R"({"nodes": {"groups": {}}})") ==
          "fleet.json '/nodes/groups': the results' directory has a place of this name; choose another");
    CHECK(message(R"({"nodes": {"a-1": {}, "a": {"copies": 2}}})") == "fleet.json '/nodes/a': two machines would be called a-1");
}
