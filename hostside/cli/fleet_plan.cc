#include "hostside/cli/fleet_plan.h"

#include <algorithm>
#include <filesystem>
#include <format>
#include <map>

#include "hostside/fleet/fleet_place.h"
#include "hostside/host/last_run.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// The last duration of each machine: from the results of --like, of the output directory, or from the last runs.
Result<std::map<std::string, double>> known_durations(const FleetWish &wish, const Fleet &fleet) {
    std::map<std::string, double> known;
    for (const auto &node : fleet.nodes)
        if (const auto run = last_run(node.name); run && run->started_s > 0 && run->ended_s > run->started_s)
            known[node.name] = static_cast<double>(run->ended_s - run->started_s);
    const bool named = !wish.like.empty();
    const auto before = results_in(named ? wish.like : wish.output + "/" + std::string(results_file));
    if (!before && named) return std::unexpected(before.error());
    if (before)
        for (const auto &m : before->machines)
            if (m.exit_code >= 0) known[m.name] = m.seconds;
    return known;
}

// Keeps the named machines, and those that share a vlan with them.
Result<> keep_only(const std::vector<std::string> &names, Fleet &fleet) {
    if (names.empty()) return {};
    for (const auto &name : names)
        if (std::ranges::none_of(fleet.nodes, [&](const Node &node) { return node.name == name; }))
            return fail(0, "find machine", name, "the fleet has no machine of this name");
    std::vector<Node> kept;
    for (const auto &group : groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; })) {
        const auto named = [&](size_t i) { return std::ranges::find(names, fleet.nodes[i].name) != names.end(); };
        if (std::ranges::any_of(group.members, named))
            for (const size_t i : group.members) kept.push_back(fleet.nodes[i]);
    }
    fleet.nodes = std::move(kept);
    return {};
}

Result<> check_room(const Fleet &fleet, const std::vector<Group> &groups, const Room &room, bool limited) {
    for (const auto &group : groups) {
        if (group.memory_mib <= room.memory_mib) continue;
        std::string names;
        for (const size_t i : group.members) names += (names.empty() ? "" : ", ") + fleet.nodes[i].name;
        const std::string why =
            limited ? std::format("--memory lets all machines together have only {} MiB; raise it, or reduce memorySize",
                                  room.memory_mib)
                    : std::format("only {} MiB are free for machines; reduce memorySize, or set the total with --memory",
                                  room.memory_mib);
        return fail(0, "find room for", names,
                    std::format("{} {} MiB, but {}",
                                group.members.size() == 1 ? "it needs" : "they share a vlan, so they run at once and need",
                                group.memory_mib, why));
    }
    return {};
}

FleetResult all_waiting(const Fleet &fleet) {
    FleetResult result{.name = fleet.name, .started_s = ::time(nullptr), .machines = {}};
    for (const auto &node : fleet.nodes)
        result.machines.push_back({.name = node.name, .memory_mib = node.memory_mib, .cores = node.cores});
    return result;
}

// Takes over the results of an earlier run. Machines that share a vlan are done only together.
void take_over(const FleetResult &before, const std::vector<Group> &groups, FleetResult &result) {
    for (const auto &group : groups) {
        std::vector<MachineResult> done;
        for (const size_t i : group.members)
            for (const auto &m : before.machines)
                if (m.name == result.machines[i].name && (m.outcome == Outcome::passed || m.outcome == Outcome::failed))
                    done.push_back(m);
        if (done.size() != group.members.size()) continue;
        for (size_t i = 0; i < done.size(); ++i) result.machines[group.members[i]] = done[i];
    }
}

std::string absolute(const std::string &path) { return fs::absolute(path).lexically_normal(); }

}  // namespace

Result<Fleet> fleet_of(const FleetWish &wish, const std::function<std::string(const std::string &machine)> &directory_of) {
    auto fleet = read_fleet(wish.file, directory_of);
    if (!fleet) return fleet;
    if (auto kept = keep_only(wish.only, *fleet); !kept) return std::unexpected(kept.error());
    return fleet;
}

Result<FleetPlan> plan_fleet(const FleetWish &wish) {
    auto fleet = fleet_of(wish, [&](const std::string &name) { return absolute(wish.output) + "/" + name; });
    if (!fleet) return std::unexpected(fleet.error());
    auto known = known_durations(wish, *fleet);
    if (!known) return std::unexpected(known.error());
    FleetPlan plan{.fleet = std::move(*fleet), .groups = {}, .room = free_room(), .result = {}};
    plan.groups = groups_of(plan.fleet.nodes, [&](const std::string &name) {
        const auto at = known->find(name);
        return at == known->end() ? std::nullopt : std::optional(at->second);
    });
    constexpr int tenths_for_machines = 9;
    plan.room.memory_mib = wish.memory_mib > 0 ? wish.memory_mib : plan.room.memory_mib / 10 * tenths_for_machines;
    if (wish.processors > 0) plan.room.processors = wish.processors;
    if (wish.engine == "local")  // for other engines, Slurm knows the hosts' resources
        if (auto room = check_room(plan.fleet, plan.groups, plan.room, wish.memory_mib > 0); !room)
            return std::unexpected(room.error());
    plan.result = all_waiting(plan.fleet);
    if (wish.resume) {
        auto before = results_in(wish.output + "/" + std::string(results_file));
        if (!before)
            return fail(before.error().code, "resume", wish.output, "there are no results of a fleet; run it without --resume");
        take_over(*before, plan.groups, plan.result);
    }
    return plan;
}

}  // namespace hostside
