#include "hostside/fleet/own_snapshots.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/machine_process.h"
#include "hostside/snapshot/place.h"

namespace hostside {

namespace {

using base::Result;
namespace fs = std::filesystem;

// What the file no longer describes, and what a killed fleet left.
void remove_unused(const std::string &directory, const Fleet &fleet) {
    std::set<std::string> used;
    for (const auto &node : fleet.nodes) used.insert(node.fork);
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory, error))
        if (!used.contains(entry.path().filename())) remove_snapshot(entry.path());
    fs::remove(directory, error);  // only if it is empty
}

Node maker_of(const Node &machine, const std::string &path) {
    Node maker = machine;
    maker.command.clear();
    maker.service = false;
    maker.saves = path;
    return maker;
}

std::vector<OwnSnapshot> needed(const Fleet &fleet, const std::vector<Group> &groups, const std::string &directory,
                                const FleetResult &result) {
    std::vector<OwnSnapshot> all;
    for (const auto &group : groups)
        for (const size_t i : group.members) {
            const Node &node = fleet.nodes[i];
            if (node.fork.empty() || result.machines[i].outcome != Outcome::waiting) continue;
            const std::string path = directory + "/" + node.fork;
            auto at = std::ranges::find(all, path, [](const OwnSnapshot &one) { return one.maker.saves; });
            if (at == all.end()) at = all.insert(at, {{.saves = path}, {}});
            at->machines.push_back(i);
        }
    for (auto &one : all) {
        std::ranges::sort(one.machines);
        one.maker = maker_of(fleet.nodes[one.machines.front()], one.maker.saves);
    }
    return all;
}

}  // namespace

Result<std::vector<OwnSnapshot>> own_snapshots(const FleetPlace &place, const std::vector<Group> &groups, bool all_machines,
                                               const FleetResult &result, Fleet &fleet) {
    const std::string directory = place.results() + "/.snapshots";
    if (all_machines) remove_unused(directory, fleet);
    auto all = needed(fleet, groups, directory, result);
    if (all.empty()) return all;
    // First the results, by which the next fleet knows the directory as a fleet's.
    if (auto written = write_results(place.results(), result); !written) return std::unexpected(written.error());
    if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) return base::fail(errno, "mkdir", directory);
    for (const auto &one : all)
        for (const size_t machine : one.machines) fleet.nodes[machine].from = one.maker.saves;
    return all;
}

std::string said_of_snapshot(const std::string &machine_directory) {
    std::string words = "was made";
    const std::string said = said_last(machine_directory) + "\n";
    for (const auto &line : LineReader(said.size()).take(said))
        if (constexpr std::string_view start = "runvm: the snapshot "; line.starts_with(start)) words = line.substr(start.size());
    return printable(words);
}

}  // namespace hostside
