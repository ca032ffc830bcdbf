// A fleet's scheduling, with a script in place of the launcher. Real machines are in tests/boot/fleet.cc.
#include "hostside/fleet/fleet.h"

#include <sys/mount.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/unit/fleet_host.h"

namespace fs = std::filesystem;
using fleet_test::alive;
using fleet_test::children_of;
using fleet_test::Host;
using fleet_test::is_program;
using fleet_test::machine;
using fleet_test::pids_in;
using fleet_test::within_a_minute;
using hostside::FleetPlace;
using hostside::FleetResult;
using hostside::Node;
using hostside::Outcome;

TEST_CASE("a fleet's machines each have their exit status, their words and a directory, and none harms another") {
    const Host host;
    REQUIRE(host.run({.name = "f",
                      .nodes = {machine("good", "echo said; echo aside >&2"), machine("bad", "echo before; exit 7"),
                                machine("killed", "kill -KILL $$"), machine("last", "true")}}) == 0);
    const FleetResult result = host.results();
    REQUIRE(result.machines.size() == 4);
    CHECK(result.over);
    const auto told = [&](size_t i) {
        const auto &m = result.machines[i];
        return std::format("{} {} {} {}", m.name, name(m.outcome), m.exit_code, m.cause);
    };
    CHECK(told(0) == "good passed 0 ");
    CHECK(told(1) == "bad failed 7 its command ended with status 7");
    CHECK(told(2) == "killed failed 137 its launcher was killed");
    CHECK(told(3) == "last passed 0 ");
    CHECK(base::read_file(host.path("results/good/output")).value() == "said\naside\n");
    CHECK(base::read_file(host.path("results/bad/description.json")).value() == "{}");
    CHECK_THAT(base::read_file(host.path("results/junit.xml")).value(),
               Catch::Matchers::ContainsSubstring("<system-out>before\n</system-out>"));
    CHECK(fs::is_empty(host.path("run/runvm")));
}

TEST_CASE("what no fleet made is not removed for a machine of the same name, even beside a fleet's results") {
    const Host host;
    REQUIRE(host.run({.name = "f", .nodes = {machine("a", "true")}}) == 0);
    fs::create_directory(host.path("results/src"));
    std::ofstream(host.path("results/src/work")) << "mine";
    std::ofstream(host.path("results/notes")) << "mine";
    REQUIRE(host.run({.name = "f", .nodes = {machine("a", "true"), machine("src", "true"), machine("notes", "true")}}) == 0);
    const auto result = host.results();
    CHECK(result.machines[0].outcome == Outcome::passed);
    CHECK(result.machines[1].exit_code == 124);
    CHECK_THAT(result.machines[1].cause, Catch::Matchers::ContainsSubstring("results/src'") &&
                                             Catch::Matchers::EndsWith("no fleet made it; remove it, or rename the machine"));
    CHECK(result.machines[2].exit_code == 124);
    CHECK(base::read_file(host.path("results/src/work")).value() == "mine");
    CHECK(base::read_file(host.path("results/notes")).value() == "mine");
}

TEST_CASE("no more machines run at once than there are processors, and the longest begin first") {
    Host host;
    host.known = [](const std::string &name) { return std::optional(std::stod(name)); };
    hostside::Fleet fleet{.name = "f", .nodes = {}};
    for (int i = 0; i < 24; ++i)
        fleet.nodes.push_back(
            machine(std::to_string(i), std::format("echo +{0} >>{1}; sleep 0.1; echo -{0} >>{1}", i, host.path("log"))));
    SECTION("three processors") {
        REQUIRE(host.run(fleet, 3) == 0);
        int now = 0, most = 0;
        std::istringstream lines(host.log());
        for (std::string line; std::getline(lines, line);) most = std::max(most, now += line[0] == '+' ? 1 : -1);
        CHECK(now == 0);
        CHECK(most <= 3);
        CHECK(host.results().count(Outcome::passed) == 24);
    }
    SECTION("one") {
        REQUIRE(host.run(fleet, 1) == 0);
        std::string expected;
        for (int i = 23; i >= 0; --i) expected += std::format("+{0}\n-{0}\n", i);
        CHECK(host.log() == expected);
    }
}

TEST_CASE("machines on one vlan run at the same time, though they have more processors than there are") {
    const Host host;
    // Each waits for the other.
    const auto meets = [&](const std::string &self, const std::string &other) {
        return machine(
            self, std::format("touch {0}/{1}; until [ -e {0}/{2} ]; do sleep 0.05; done", host.path("run"), self, other), {1});
    };
    REQUIRE(host.run({.name = "f", .nodes = {meets("a", "b"), machine("x", "true"), meets("b", "a")}}, 1) == 0);
    CHECK(host.results().count(Outcome::passed) == 3);
}

TEST_CASE("a service ends when those on its vlan are done, and has passed; one that fails before has failed") {
    const Host host;
    const Node service{.name = "server", .description = "{}", .service = true, .memory_mib = 1, .cores = 1, .vlans = {1}};
    SECTION("it serves to the end") {
        REQUIRE(host.run({.name = "f", .nodes = {service, machine("client", "exit 3", {1})}}) == 0);
        const auto result = host.results();
        CHECK(result.machines[0].outcome == Outcome::passed);
        CHECK(result.machines[1].exit_code == 3);
    }
    SECTION("it is killed") {
        const pid_t fleet = host.launch(
            {.name = "f",
             .nodes = {service, machine("client", std::format("until [ -e {} ]; do sleep 0.05; done", host.path("go")), {1})}});
        // A child is the launcher's image until it has executed its program.
        pid_t victim = -1;
        REQUIRE(within_a_minute([&] {
            const auto children = children_of(fleet);
            const auto found = std::ranges::find_if(children, [](pid_t child) { return is_program(child, "sleep"); });
            if (found != children.end()) victim = *found;
            return children.size() == 2 && victim > 0;
        }));
        ::kill(victim, SIGKILL);
        REQUIRE(within_a_minute([&] { return children_of(fleet).size() < 2; }));  // the fleet has collected it
        std::ofstream(host.path("go")) << "";
        CHECK(Host::end_of(fleet) == 0);
        const auto result = host.results();
        CHECK(result.machines[0].outcome == Outcome::failed);
        CHECK(result.machines[1].outcome == Outcome::passed);
    }
}

TEST_CASE("forks wait for their snapshot, and machines without one, or with another, do not") {
    const Host host;
    const auto notes = [&](const std::string &name, const std::string &fork) {
        Node node = machine(name, std::format("echo {} >>{}", name, host.path("log")));
        node.fork = fork;
        return node;
    };
    const hostside::Fleet fleet{
        .name = "f", .nodes = {notes("slow-1", "slow"), notes("quick", "quick"), notes("slow-2", "slow"), notes("boots", "")}};
    SECTION("the slow one is made only when the others are done") {
        std::ofstream(host.path("snapshot")) << std::format(R"(
case $1 in *slow) for i in $(seq 200); do grep -qsx boots {0} && grep -qsx quick {0} && break; sleep 0.05; done ;; esac
echo "made ${{1##*/}}" >>{0}; echo "runvm: the snapshot is new")",
                                                            host.path("log"));
        REQUIRE(host.run(fleet) == 0);
        CHECK(host.results().count(Outcome::passed) == 4);
        const std::string log = host.log();
        CHECK(log.find("told: the snapshot of quick is new\n") < log.find("\nquick\n"));
        const size_t made = log.find("made slow\n");
        CHECK(log.find("boots\n") < made);
        CHECK(log.find("\nquick\n") < made);
        CHECK(made < log.find("told: the snapshot of slow-1 and 1 more is new\n"));
        CHECK(log.find("told: the snapshot of slow-1") < log.find("\nslow-1\n"));
        CHECK(made < log.find("\nslow-2\n"));
    }
    SECTION("one that can't be made fails its own forks alone") {
        std::ofstream(host.path("snapshot")) << R"(case $1 in *slow) echo "runvm: no room" >&2; exit 124 ;; esac)";
        REQUIRE(host.run(fleet) == 0);
        const auto result = host.results();
        CHECK(result.count(Outcome::passed) == 2);
        CHECK(result.machines[0].cause == "its snapshot was not made: no room");
        CHECK(result.machines[2].cause == "its snapshot was not made, see slow-1");
        CHECK(result.machines[2].exit_code == 124);
    }
    SECTION("ctrl-c while one is made") {
        std::ofstream(host.path("snapshot"))
            << std::format("case $1 in *slow) mkdir ${{1#--output=}}.part-left || exit 1; echo $$ >>{}; exec sleep 1000 ;; esac",
                           host.path("pid"));
        const pid_t pid = host.launch(fleet);
        REQUIRE(within_a_minute([&] { return fs::exists(host.path("pid")) && host.results().count(Outcome::passed) == 2; }));
        const auto pids = pids_in(base::read_file(host.path("pid")).value_or(""));
        CHECK(host.results().machines[0].outcome == Outcome::running);
        CHECK(host.results().machines[0].state == "its snapshot");
        ::kill(pid, SIGINT);
        CHECK(Host::end_of(pid) == SIGINT);
        CHECK(host.results().count(Outcome::not_run) == 2);
        CHECK(fs::is_empty(host.path("results/.snapshots")));
        REQUIRE(pids.size() == 1);
        CHECK_FALSE(alive(pids.front()));
    }
}

TEST_CASE("a launcher that can't be started is each machine's failure, not the fleet's") {
    const Host host;
    REQUIRE(host.run({.name = "f", .nodes = {machine("a", "true"), machine("b", "true")}}, 1, false, "/no/such/runvm") == 0);
    const auto result = host.results();
    CHECK(result.count(Outcome::failed) == 2);
    CHECK(result.machines[0].exit_code == 124);
    CHECK(result.machines[0].cause == "exec '/no/such/runvm': No such file or directory");
}

TEST_CASE("with fail-fast nothing is begun after a machine that can't be started") {
    const Host host;
    fs::create_directory(host.path("results"));
    std::ofstream(host.path("results/results.json")) << "{}";
    // Its directory can't be made, because a mount point is in its place.
    fs::create_directory(host.path("results/a"));
    if (::mount("none", host.path("results/a").c_str(), "tmpfs", 0, nullptr) < 0)
        SKIP("mounting a tmpfs is not allowed here: " << base::errno_text(errno));
    const int code =
        host.run({.name = "f", .nodes = {machine("a", "true"), machine("b", "touch " + host.path("begun"))}}, 4, true);
    CHECK(::umount(host.path("results/a").c_str()) == 0);
    CHECK(code == 0);
    const auto result = host.results();
    CHECK(result.machines[0].outcome == Outcome::failed);
    CHECK(result.machines[1].outcome == Outcome::not_run);
    CHECK_FALSE(fs::exists(host.path("begun")));
}

TEST_CASE("a fleet's results are written into no directory that has something else, nor one where a fleet runs") {
    const Host host;
    fs::create_directory(host.path("work"));
    std::ofstream(host.path("work/thesis")) << "mine";
    const auto refused = FleetPlace::create(host.path("work"));
    REQUIRE_FALSE(refused);
    CHECK(base::message(refused.error()) ==
          std::format("use '{}': it has no results.json, so it does not hold a fleet's results; name another directory (-o)",
                      host.path("work")));
    CHECK(fs::exists(host.path("work/thesis")));
    const pid_t pid = host.launch({.name = "f", .nodes = {machine("a", "exec sleep 1000")}});
    REQUIRE(within_a_minute([&] { return fs::exists(host.path("results/results.json")); }));
    const auto second = FleetPlace::create(host.path("results"));
    ::kill(pid, SIGTERM);
    CHECK(Host::end_of(pid) == SIGTERM);
    REQUIRE_FALSE(second);
    CHECK(base::message(second.error()).contains(std::format("in use by the runvm with pid {}", pid)));
}
