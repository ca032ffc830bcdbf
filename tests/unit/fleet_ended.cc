// How a fleet ends before its machines do: by one that failed, by a signal, killed. Nothing of it is left.
#include "hostside/fleet/fleet.h"

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <format>
#include <random>
#include <thread>

#include "tests/unit/fleet_host.h"

namespace fs = std::filesystem;
using fleet_test::alive;
using fleet_test::children_of;
using fleet_test::Host;
using fleet_test::is_program;
using fleet_test::machine;
using fleet_test::pids_in;
using fleet_test::started_as;
using fleet_test::within_a_minute;
using hostside::Outcome;

TEST_CASE("with fail-fast the first that fails ends those that run, with what they had started, and the rest is not run") {
    const Host host;
    const std::string starts = std::format("sleep 1000 & echo $! >>{}; wait", host.path("log"));
    REQUIRE(host.run({.name = "f",
                      .nodes = {machine("long", starts),
                                machine("bad", std::format("until [ -s {} ]; do sleep 0.05; done; exit 1", host.path("log"))),
                                machine("never", "true"), machine("nor", "true")}},
                     2, true) == 0);
    const auto result = host.results();
    CHECK(result.machines[0].outcome == Outcome::cancelled);
    CHECK(result.machines[1].outcome == Outcome::failed);
    CHECK(result.machines[2].outcome == Outcome::not_run);
    CHECK(result.machines[3].outcome == Outcome::not_run);
    CHECK(result.over);
    REQUIRE(pids_in(host.log()).size() == 1);
    CHECK_FALSE(alive(pids_in(host.log()).front()));
}

TEST_CASE("a signal ends all machines of a fleet, and what they had started, and the results say so") {
    const Host host;
    hostside::Fleet fleet{.name = "f", .nodes = {}};
    for (int i = 0; i < 5; ++i)
        fleet.nodes.push_back(
            machine(std::format("m{}", i), std::format("trap '' TERM INT; echo $$ >>{}; exec sleep 1000", host.path("log"))));
    const int signal = GENERATE(SIGTERM, SIGINT);
    const pid_t pid = host.launch(fleet, 3);
    REQUIRE(within_a_minute([&] { return pids_in(host.log()).size() == 3; }));
    ::kill(pid, signal);
    CHECK(Host::end_of(pid) == signal);
    for (const pid_t machine_pid : pids_in(host.log())) CHECK_FALSE(alive(machine_pid));
    const auto result = host.results();
    CHECK(result.count(Outcome::cancelled) == 3);
    CHECK(result.count(Outcome::not_run) == 2);
    CHECK(fs::is_empty(host.path("run/runvm")));
}

TEST_CASE("a fleet that is killed takes its machines along, has its results, and the next one sweeps what it left") {
    const Host host;
    const auto stays = machine("stays", std::format("echo $$ >>{}; exec sleep 1000", host.path("log")));
    const pid_t pid = host.launch({.name = "f", .nodes = {machine("done", "true"), stays, machine("waits", "true")}}, 1);
    REQUIRE(within_a_minute(
        [&] { return pids_in(host.log()).size() == 1 && host.results().machines[1].outcome == Outcome::running; }));
    ::kill(pid, SIGKILL);
    CHECK(Host::end_of(pid) == 128 + SIGKILL);
    CHECK(within_a_minute([&] { return !alive(pids_in(host.log()).front()); }));
    const auto result = host.results();
    CHECK_FALSE(result.over);
    CHECK(result.machines[0].outcome == Outcome::passed);
    CHECK(result.machines[1].outcome == Outcome::running);
    CHECK(result.machines[2].outcome == Outcome::waiting);
    CHECK_FALSE(fs::is_empty(host.path("run/runvm")));
    CHECK(host.run({.name = "f", .nodes = {machine("done", "true")}}) == 0);
    CHECK(fs::is_empty(host.path("run/runvm")));
}

TEST_CASE("of two hundred machines that are killed at random points each has its result, and nothing is left") {
    const Host host;
    // Each machine has a QEMU that never ends by itself, and every third of these can't be asked to end.
    fs::create_symlink("/bin/sleep", host.path("qemu"));
    hostside::Fleet fleet{.name = "f", .nodes = {}};
    for (int i = 0; i < 200; ++i)
        fleet.nodes.push_back(machine(
            std::format("m{}", i), std::format("{}{} infinity >/dev/null 2>&1 & echo $$ >>{}; sleep 0.05; exit {}",
                                               i % 3 == 0 ? "trap '' TERM; " : "", host.path("qemu"), host.path("log"), i % 3)));
    const pid_t pid = host.launch(fleet, 12);
    std::mt19937 random(42);  // NOLINT(cert-msc51-cpp): the same points each time, as far as the kernel allows
    int hit = 0;
    size_t most = 0;
    while (alive(pid)) {
        most = std::max(most, started_as(host.path("qemu")).size());
        auto children = children_of(pid);
        std::erase_if(children, [&](pid_t child) { return is_program(child, host.path("qemu")); });
        if (!children.empty() && ::kill(children[random() % children.size()], SIGKILL) == 0) ++hit;
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
    }
    CHECK(Host::end_of(pid) == 0);
    CHECK(hit > 0);
    CHECK(most > 0);
    CHECK(started_as(host.path("qemu")).empty());
    for (const pid_t left : started_as(host.path("qemu"))) ::kill(left, SIGKILL);
    const auto result = host.results();
    REQUIRE(result.machines.size() == 200);
    CHECK(result.over);
    CHECK(result.count(Outcome::passed) + result.count(Outcome::failed) == 200);
    for (int i = 0; i < 200; ++i) {
        const auto &m = result.machines[static_cast<size_t>(i)];
        CHECK(m.name == std::format("m{}", i));
        CHECK((m.exit_code == i % 3 || m.exit_code == 128 + SIGKILL));
    }
    for (const pid_t machine_pid : pids_in(host.log())) CHECK_FALSE(alive(machine_pid));
    CHECK(fs::is_empty(host.path("run/runvm")));
}
