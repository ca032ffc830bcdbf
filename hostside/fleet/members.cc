#include "hostside/fleet/members.h"

#include <format>

#include "hostside/fleet/own_snapshots.h"

namespace hostside {

Members::Members(const FleetRun &run, FleetResult &result) : run_(run), result_(result), maker_of_(result.machines.size()) {
    std::vector<Node> nodes;
    for (const auto &snapshot : run.snapshots) {
        nodes.push_back(snapshot.maker);
        makers_.push_back({.name = snapshot.maker.name});
        for (const size_t machine : snapshot.machines) maker_of_[machine] = makers_.size() - 1;
    }
    groups_ = groups_of(nodes, [](const std::string &) { return std::nullopt; });
    for (auto &group : groups_)
        for (size_t &member : group.members) member += result.machines.size();
    groups_.insert(groups_.end(), run.groups.begin(), run.groups.end());
}

const Node &Members::node(size_t member) const { return is_maker(member) ? snapshot_of(member).maker : run_.fleet.nodes[member]; }

MachineResult &Members::result(size_t member) {
    return is_maker(member) ? makers_[member - result_.machines.size()] : result_.machines[member];
}

bool Members::awaits_snapshot(size_t member) const {
    if (is_maker(member) || !maker_of_[member]) return false;
    const Outcome outcome = makers_[*maker_of_[member]].outcome;
    return outcome == Outcome::waiting || outcome == Outcome::running;
}

void Members::tell(size_t member) {
    if (!is_maker(member)) return run_.changed(result_.machines[member]);
    show(member);
    const OwnSnapshot &snapshot = snapshot_of(member);
    const MachineResult &maker = result(member);
    const size_t others = snapshot.machines.size() - 1;
    if (maker.outcome == Outcome::passed)
        run_.told(std::format("the snapshot of {}{} {}", maker.name, others > 0 ? std::format(" and {} more", others) : "",
                              said_of_snapshot(run_.place.results() + "/" + maker.name)));
    if (maker.outcome == Outcome::failed) fail_for_want_of(snapshot, maker);
}

void Members::show(size_t member) {
    if (!is_maker(member)) return;
    const MachineResult &maker = result(member);
    MachineResult &first = result_.machines[snapshot_of(member).machines.front()];
    const bool runs = maker.outcome == Outcome::running;
    first.outcome = runs ? Outcome::running : Outcome::waiting;
    first.state = runs ? "its snapshot" + (maker.state.empty() ? "" : ": " + maker.state) : "";
}

void Members::fail_for_want_of(const OwnSnapshot &snapshot, const MachineResult &maker) {
    for (const size_t member : snapshot.machines) {
        MachineResult &machine = result_.machines[member];
        const bool stood_for_all = member == snapshot.machines.front();
        machine.outcome = Outcome::failed;
        machine.exit_code = maker.exit_code;
        machine.seconds = stood_for_all ? maker.seconds : 0;
        machine.cause = stood_for_all ? "its snapshot was not made: " + maker.cause
                                      : std::format("its snapshot was not made, see {}", maker.name);
        run_.changed(machine);
    }
}

}  // namespace hostside
