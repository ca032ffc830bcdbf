#include "hostside/fleet/own_snapshots.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>
#include <set>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/fleet/machine_process.h"
#include "hostside/snapshot/place.h"

namespace hostside {

namespace {

using base::Result;
namespace fs = std::filesystem;

std::string directory_in(const FleetPlace &place) { return place.results() + "/.snapshots"; }

// What the file no longer describes, and what a killed fleet left.
void remove_unused(const std::string &directory, const Fleet &fleet) {
    std::set<std::string> used;
    for (const auto &node : fleet.nodes) used.insert(node.fork);
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory, error))
        if (!used.contains(entry.path().filename())) remove_snapshot(entry.path());
    fs::remove(directory, error);  // only if it is empty
}

// A snapshot and its machines.
struct Own {
    std::vector<size_t> members;  // of the fleet, those that wait
    std::string path;
};

std::vector<Own> wanted(const Fleet &fleet, const std::string &directory, const FleetResult &result) {
    std::vector<Own> all;
    for (size_t i = 0; i < fleet.nodes.size(); ++i) {
        const std::string &fork = fleet.nodes[i].fork;
        if (fork.empty() || result.machines[i].outcome != Outcome::waiting) continue;
        const std::string path = directory + "/" + fork;
        auto at = std::ranges::find(all, path, &Own::path);
        if (at == all.end()) at = all.insert(at, {{}, path});
        at->members.push_back(i);
    }
    return all;
}

// What `runvm snapshot` said last about the snapshot itself.
std::string words_of(const std::string &machine_directory) {
    std::string words = "was made";
    const std::string said = said_last(machine_directory) + "\n";
    for (const auto &line : LineReader(said.size()).take(said))
        if (constexpr std::string_view start = "runvm: the snapshot "; line.starts_with(start)) words = line.substr(start.size());
    return printable(words);
}

class Maker {
  public:
    Maker(const SnapshotsWish &wish, std::vector<Own> own, FleetResult &result)
        : wish_(wish), own_(std::move(own)), result_(result) {
        for (const auto &one : own_) {
            Node node = wish_.fleet.nodes[one.members.front()];
            node.command.clear();
            node.service = false;
            node.saves = one.path;
            makers_.nodes.push_back(std::move(node));
        }
    }

    Result<int> make() {
        FleetResult made{.name = result_.name, .machines = {}};
        for (const auto &node : makers_.nodes) made.machines.push_back({.name = node.name});
        const auto groups = groups_of(makers_.nodes, [](const std::string &) { return std::nullopt; });
        FleetRun run{.fleet = makers_,
                     .groups = groups,
                     .place = wish_.run.place,
                     .runvm = wish_.run.runvm,
                     .room = wish_.run.room,
                     .any_memory = wish_.run.any_memory,
                     .fail_fast = wish_.run.fail_fast,
                     .writes_results = false,
                     .started = wish_.run.started,
                     .changed = [&](const MachineResult &machine) { changed(machine); },
                     .tick = [&](const FleetResult &now) { show(now); }};
        return run_fleet(run, made);
    }

  private:
    // The first machine of a snapshot stands for all while that is made.
    void show(const FleetResult &made) {
        for (size_t i = 0; i < own_.size(); ++i) {
            MachineResult &first = result_.machines[own_[i].members.front()];
            if (first.outcome == Outcome::running)
                first.state = "its snapshot" + (made.machines[i].state.empty() ? "" : ": " + made.machines[i].state);
        }
        result_.seconds = made.seconds;
        wish_.run.tick(result_);
    }

    void changed(const MachineResult &maker) {
        const auto at = std::ranges::find(makers_.nodes, maker.name, &Node::name);
        const Own &own = own_[static_cast<size_t>(at - makers_.nodes.begin())];
        const size_t others = own.members.size() - 1;
        MachineResult &first = result_.machines[own.members.front()];
        first.outcome = maker.outcome == Outcome::running ? Outcome::running : Outcome::waiting;
        first.state = "";
        if (maker.outcome == Outcome::passed)
            wish_.told(std::format("the snapshot of {}{} {}", maker.name, others > 0 ? std::format(" and {} more", others) : "",
                                   words_of(wish_.run.place.results() + "/" + maker.name)));
        if (maker.outcome != Outcome::failed) return;
        for (const size_t member : own.members) {
            MachineResult &machine = result_.machines[member];
            machine.outcome = Outcome::failed;
            machine.exit_code = maker.exit_code;
            machine.seconds = machine.name == maker.name ? maker.seconds : 0;
            machine.cause = machine.name == maker.name ? "its snapshot was not made: " + maker.cause
                                                       : std::format("its snapshot was not made, see {}", maker.name);
            wish_.run.changed(machine);
        }
    }

    const SnapshotsWish &wish_;
    std::vector<Own> own_;
    FleetResult &result_;
    Fleet makers_;
};

// The fleet ends before its machines ran.
Result<> end(const std::string &directory, FleetResult &result) {
    for (auto &machine : result.machines)
        if (machine.outcome == Outcome::waiting) machine.outcome = Outcome::not_run;
    result.over = true;
    return write_results(directory, result);
}

}  // namespace

Result<int> make_own_snapshots(const SnapshotsWish &wish, FleetResult &result) {
    const std::string directory = directory_in(wish.run.place);
    if (wish.all_machines) remove_unused(directory, wish.fleet);
    auto own = wanted(wish.fleet, directory, result);
    if (own.empty()) return 0;
    if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) return base::fail(errno, "mkdir", directory);
    for (const auto &one : own)
        for (const size_t member : one.members) wish.fleet.nodes[member].from = one.path;
    if (auto written = write_results(wish.run.place.results(), result); !written) return std::unexpected(written.error());
    auto signal = Maker(wish, std::move(own), result).make();
    const bool stops = signal && (*signal != 0 || (wish.run.fail_fast && result.count(Outcome::failed) > 0));
    if (stops)
        if (auto written = end(wish.run.place.results(), result); !written) return std::unexpected(written.error());
    return signal;
}

}  // namespace hostside
