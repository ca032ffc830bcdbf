#include "tests/unit/fleet_host.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>
#include <thread>

#include "hostside/fleet/own_snapshots.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace fleet_test {

namespace {

namespace fs = std::filesystem;
using hostside::FleetPlace;
using hostside::FleetResult;
using hostside::Node;

// `runvm exec ... -- COMMAND` runs the command; `runvm run` never ends by itself; `runvm snapshot` is a script of the test's.
constexpr const char *stand_in = R"(#!/bin/sh
[ "$1" != snapshot ] || exec sh "${0%/*}/snapshot" "$3"
[ "$1" = exec ] || exec sleep 1000
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
)";

}  // namespace

Node machine(const std::string &name, const std::string &script, std::vector<int> vlans) {
    return {.name = name,
            .description = "{}",
            .command = {"sh", "-c", script},
            .memory_mib = 1,
            .cores = 1,
            .vlans = std::move(vlans)};
}

Host::Host() {
    fs::create_directory(scratch_.path("run"));
    ::setenv("XDG_RUNTIME_DIR", scratch_.path("run").c_str(), 1);
    std::ofstream(scratch_.path("runvm")) << stand_in;
    fs::permissions(scratch_.path("runvm"), fs::perms::owner_all);
}

Host::~Host() { ::unsetenv("XDG_RUNTIME_DIR"); }

void Host::note(const std::string &line) const { std::ofstream(path("log"), std::ios::app) << line << '\n'; }

std::string Host::log() const { return base::read_file(path("log")).value_or(""); }

FleetResult Host::results() const {
    return hostside::results_from(base::read_file(path("results/results.json")).value_or(""), "results.json").value();
}

pid_t Host::launch(const hostside::Fleet &asked, int processors, bool fail_fast, const std::string &runvm) const {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    hostside::Fleet fleet = asked;
    const auto place = FleetPlace::create(path("results"));
    if (!place) ::_exit(100);
    int code = 101;
    {
        const auto groups = hostside::groups_of(fleet.nodes, known);
        FleetResult result{.name = fleet.name, .machines = {}};
        for (const auto &node : fleet.nodes) result.machines.push_back({.name = node.name});
        const auto snapshots = hostside::own_snapshots(*place, groups, true, result, fleet);
        if (!snapshots) ::_exit(102);
        const auto signal = hostside::run_fleet({.fleet = fleet,
                                                 .groups = groups,
                                                 .snapshots = *snapshots,
                                                 .place = *place,
                                                 .runvm = runvm.empty() ? path("runvm") : runvm,
                                                 .room = {1 << 20, processors},
                                                 .any_memory = true,
                                                 .fail_fast = fail_fast,
                                                 .changed = [](const hostside::MachineResult &) {},
                                                 .told = [&](const std::string &text) { note("told: " + text); },
                                                 .tick = [](const FleetResult &) {}},
                                                result);
        if (signal) code = *signal;
    }
    const_cast<FleetPlace &>(*place).~FleetPlace();
    ::_exit(code);
}

int Host::run(const hostside::Fleet &fleet, int processors, bool fail_fast, const std::string &runvm) const {
    return end_of(launch(fleet, processors, fail_fast, runvm));
}

int Host::end_of(pid_t pid) {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return base::exit_code(status);
}

bool within_a_minute(const std::function<bool()> &condition) {
    for (int i = 0; i < 1200; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(50)))
        if (condition()) return true;
    return false;
}

bool alive(pid_t pid) {
    const std::string stat = base::read_file(std::format("/proc/{}/stat", pid), 4096).value_or("");
    const size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat[name_end + 2] != 'Z';
}

std::vector<pid_t> pids_in(const std::string &text) {
    std::vector<pid_t> pids;
    std::istringstream words(text);
    for (pid_t pid = 0; words >> pid;) pids.push_back(pid);
    return pids;
}

std::vector<pid_t> children_of(pid_t pid) {
    return pids_in(base::read_file(std::format("/proc/{0}/task/{0}/children", pid), 1 << 20).value_or(""));
}

bool is_program(pid_t pid, const std::string &program) {
    return base::read_file(std::format("/proc/{}/cmdline", pid), 65536).value_or("").starts_with(program + '\0');
}

std::vector<pid_t> started_as(const std::string &program) {
    std::vector<pid_t> pids;
    for (const auto &entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const auto pid = static_cast<pid_t>(std::stol(name));
        if (is_program(pid, program)) pids.push_back(pid);
    }
    return pids;
}

}  // namespace fleet_test
