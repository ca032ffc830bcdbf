#include "hostside/cli/fleet_command.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <format>
#include <map>
#include <memory>
#include <thread>

#include "hostside/base/exists.h"
#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/cli/fleet_view.h"
#include "hostside/cli/reporter.h"
#include "hostside/fleet/example.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/slurm.h"
#include "hostside/host/last_run.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

struct FleetWish {
    std::string file, output, like, engine = "local", status;
    std::vector<std::string> only, sbatch;
    int memory_mib = 0, processors = 0;
    bool fail_fast = false, resume = false, wait = false;
    bool exit_qemu_failed = false;  // with 123 when a machine's QEMU failed, for Slurm
};

struct InitWish {
    std::string system = "./result", config, output = "fleet.json";
};

// How long each took the last time: in the results that are named or stand where these will be, or among the last runs.
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

// Those that are named, and those that meet them on a vlan.
Result<> keep_only(const std::vector<std::string> &names, Fleet &fleet) {
    if (names.empty()) return {};
    for (const auto &name : names)
        if (std::ranges::none_of(fleet.nodes, [&](const Node &node) { return node.name == name; }))
            return fail(0, "find machine", name, "the fleet has none of this name");
    std::vector<Node> kept;
    for (const auto &group : groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; })) {
        const auto named = [&](size_t i) { return std::ranges::find(names, fleet.nodes[i].name) != names.end(); };
        if (std::ranges::any_of(group.members, named))
            for (const size_t i : group.members) kept.push_back(fleet.nodes[i]);
    }
    fleet.nodes = std::move(kept);
    return {};
}

Result<> check_room(const Fleet &fleet, const std::vector<Group> &groups, const Room &room) {
    for (const auto &group : groups) {
        if (group.memory_mib <= room.memory_mib) continue;
        std::string names;
        for (const size_t i : group.members) names += (names.empty() ? "" : ", ") + fleet.nodes[i].name;
        return fail(0, "find room for", names,
                    std::format("{} {} MiB, and {} MiB are free for machines; give less memorySize, or --memory to say how much "
                                "there is",
                                group.members.size() == 1 ? "it needs" : "they meet on a vlan, so run at once, and need",
                                group.memory_mib, room.memory_mib));
    }
    return {};
}

FleetResult all_waiting(const Fleet &fleet) {
    FleetResult result{.name = fleet.name, .started_s = ::time(nullptr), .machines = {}};
    for (const auto &node : fleet.nodes)
        result.machines.push_back({.name = node.name, .memory_mib = node.memory_mib, .cores = node.cores});
    return result;
}

// What an earlier run of this fleet came to; those that meet on a vlan are done only together.
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

Result<Fleet> fleet_of(const FleetWish &wish, const std::function<std::string(const std::string &machine)> &directory_of) {
    auto fleet = read_fleet(wish.file, directory_of);
    if (!fleet) return fleet;
    if (auto kept = keep_only(wish.only, *fleet); !kept) return std::unexpected(kept.error());
    return fleet;
}

struct Plan {
    Fleet fleet;
    std::vector<Group> groups;
    Room room;
    FleetResult result;
};

Result<Plan> plan_of(const FleetWish &wish) {
    auto fleet = fleet_of(wish, [&](const std::string &name) { return absolute(wish.output) + "/" + name; });
    if (!fleet) return std::unexpected(fleet.error());
    auto known = known_durations(wish, *fleet);
    if (!known) return std::unexpected(known.error());
    Plan plan{.fleet = std::move(*fleet), .groups = {}, .room = free_room(), .result = {}};
    plan.groups = groups_of(plan.fleet.nodes, [&](const std::string &name) {
        const auto at = known->find(name);
        return at == known->end() ? std::nullopt : std::optional(at->second);
    });
    constexpr int tenths_for_machines = 9;
    plan.room.memory_mib = wish.memory_mib > 0 ? wish.memory_mib : plan.room.memory_mib / 10 * tenths_for_machines;
    if (wish.processors > 0) plan.room.processors = wish.processors;
    if (wish.engine == "local")  // how much the others' hosts have is for Slurm to know
        if (auto room = check_room(plan.fleet, plan.groups, plan.room); !room) return std::unexpected(room.error());
    plan.result = all_waiting(plan.fleet);
    if (wish.resume) {
        auto before = results_in(wish.output + "/" + std::string(results_file));
        if (!before)
            return fail(before.error().code, "resume", wish.output, "no fleet's results are there; run it without --resume");
        take_over(*before, plan.groups, plan.result);
    }
    return plan;
}

int exit_code_of(const FleetResult &result) { return result.count(Outcome::passed) == result.machines.size() ? 0 : 1; }

void tell_where(const std::string &directory) {
    say(std::format("results: {0}/{1}, {0}/{2}, what each machine said: {0}/NAME/output", directory, results_file, junit_file));
}

// How a fleet is that was given to Slurm, or what one of this host noted last. Waits for its end if that is asked for.
int status(const FleetWish &wish) {
    constexpr int not_over = 2;
    constexpr auto pause = std::chrono::seconds(3);
    FleetView view;
    for (;; std::this_thread::sleep_for(pause)) {
        auto result = results_in(wish.status + "/" + std::string(results_file));
        if (!result) return refuse({"look at a fleet", wish.status, result.error().code, "no fleet's results are there"});
        if (const std::string job = slurm_job_of(wish.status); !job.empty()) {
            const auto tasks = slurm_tasks(job);
            if (!tasks) return refuse(tasks.error());
            gather(wish.status, *tasks, *result);
            result->seconds =
                std::max(result->seconds, result->over ? 0 : static_cast<double>(::time(nullptr) - result->started_s));
            if (auto written = write_results(wish.status, *result); !written) return refuse(written.error());
        } else if (wish.wait && !result->over) {
            return refuse({"wait for a fleet", wish.status, 0, "it is one of a host's; whoever runs it there waits for it"});
        }
        if (wish.wait && !result->over) {
            view.tick(*result);
            continue;
        }
        view.last(*result);
        return result->over ? exit_code_of(*result) : not_over;
    }
}

int submit(const FleetWish &wish, Plan &plan, const FleetPlace &place) {
    std::map<std::string, size_t> group_of;
    for (size_t i = 0; i < plan.groups.size(); ++i)
        for (const size_t member : plan.groups[i].members) group_of[plan.fleet.nodes[member].name] = i;
    // Again, for their disks are where their task is.
    auto fleet =
        fleet_of(wish, [&](const std::string &name) { return group_directory(place.results(), group_of[name]) + "/" + name; });
    if (!fleet) return refuse(fleet.error());
    if (auto written = write_results(place.results(), plan.result); !written) return refuse(written.error());
    const auto job = submit_to_slurm({.fleet = *fleet,
                                      .groups = plan.groups,
                                      .place = place,
                                      .runvm = fs::read_symlink("/proc/self/exe"),
                                      .options = wish.sbatch});
    if (!job) return refuse(job.error());
    say(std::format("Slurm's job {} has {} machines in {} tasks; how they are: runvm fleet --status {}", *job,
                    plan.result.machines.size(), plan.groups.size(), wish.output));
    return 0;
}

int run(FleetWish &wish) {
    if (!wish.status.empty()) return status(wish);
    if (wish.file.empty()) return refuse({"run a fleet", "", 0, "of which file? `runvm fleet init` writes an example of one"});
    if (wish.output.empty()) wish.output = fs::path(wish.file).stem().string() + "-results";
    auto plan = plan_of(wish);
    if (!plan) return refuse(plan.error());
    auto place = FleetPlace::create(wish.output);
    if (!place) return refuse(place.error());
    if (wish.engine == "slurm") return submit(wish, *plan, *place);
    (void)std::signal(SIGPIPE, SIG_IGN);
    FleetView view;
    const FleetRun fleet{.fleet = plan->fleet,
                         .groups = plan->groups,
                         .place = *place,
                         .runvm = fs::read_symlink("/proc/self/exe"),
                         .room = plan->room,
                         .any_memory = wish.memory_mib > 0,
                         .fail_fast = wish.fail_fast,
                         .changed = [&](const MachineResult &machine) { view.changed(machine); },
                         .tick = [&](const FleetResult &result) { view.tick(result); }};
    const auto signal = run_fleet(fleet, plan->result);
    if (!signal) return refuse(signal.error());
    view.last(plan->result);
    tell_where(wish.output);
    if (*signal != 0) return signal_base + *signal;
    const bool qemu_failed_once =
        std::ranges::contains(plan->result.machines, static_cast<int>(qemu_failed), &MachineResult::exit_code);
    return wish.exit_qemu_failed && qemu_failed_once ? qemu_failed : exit_code_of(plan->result);
}

int init(const InitWish &wish) {
    std::string defaults;
    if (!wish.config.empty()) {
        if (!exists(wish.config)) return refuse({"read", wish.config, errno, ""});
        defaults = base::json_text(fs::absolute(wish.config).lexically_normal().string());
    } else {
        if (!exists(wish.system + "/init"))
            return refuse({"find system", wish.system, errno,
                           "the example's machines boot it: make one with nix-build, or name another: runvm fleet init SYSTEM"});
        defaults = std::format(R"({{ "toplevel": {} }})", base::json_text(fs::absolute(wish.system).lexically_normal().string()));
    }
    auto file = base::open_at(AT_FDCWD, wish.output, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file) return refuse({"create", wish.output, file.error().code, "-o names another file"});
    if (auto wrote = base::write_all(file->get(), example_fleet(defaults), wish.output); !wrote) return refuse(wrote.error());
    say(std::format("{} has four kinds of machine; run them: runvm fleet {}", wish.output, wish.output));
    return 0;
}

}  // namespace

void add_fleet_command(CLI::App &app, int &status) {
    auto wish = std::make_shared<FleetWish>();
    CLI::App *fleet = app.add_subcommand("fleet", "run many machines from one file, as many at once as there is room for");
    fleet->add_option("file", wish->file, "the machines, in JSON; see runvm(1), FLEETS")->type_name("FILE");
    fleet->add_option("-o,--output", wish->output, "the directory of the results; FILE-results by default")->type_name("DIR");
    fleet->add_flag("--fail-fast", wish->fail_fast, "the first machine that fails ends the others");
    fleet->add_flag("--resume", wish->resume, "run only those that have no result in the output directory yet");
    fleet->add_option("--only", wish->only, "only this machine and those on its vlans; may be repeated")
        ->type_name("NAME")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    fleet->add_option("--memory", wish->memory_mib, "for all machines together, in MiB; by default nine tenths of what is free")
        ->check(CLI::Range(1, 1 << 30).description(""))
        ->type_name("MIB");
    fleet->add_option("--processors", wish->processors, "for all machines together; by default those that we may use")
        ->check(CLI::Range(1, 65536).description(""))
        ->type_name("N");
    fleet->add_option("--like", wish->like, "a results.json of before, whose longest machines are started first")
        ->type_name("FILE");
    fleet->add_option("--engine", wish->engine, "who runs the machines: this host, or Slurm as a job array")
        ->type_name("local|slurm")
        ->check(CLI::IsMember({"local", "slurm"}).description(""));
    fleet->add_option("--sbatch", wish->sbatch, "one more option for sbatch, as --sbatch=--constraint=kvm; may be repeated")
        ->type_name("TEXT")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    fleet->add_option("--status", wish->status, "how the fleet of this directory is, from what its jobs noted")->type_name("DIR");
    fleet->add_flag("--wait", wish->wait, "with --status: until it is over");
    fleet->add_flag("--exit-qemu-failed", wish->exit_qemu_failed)->group("");
    auto example = std::make_shared<InitWish>();
    CLI::App *write = fleet->add_subcommand("init", "write an example of a fleet that runs");
    write->add_option("system", example->system, "the NixOS system of its machines; ./result without it")->type_name("DIR");
    write->add_option("--config", example->config, "instead, the description of its machines")->type_name("FILE");
    write->add_option("-o,--output", example->output, "the file; fleet.json without it")->type_name("FILE");
    write->callback([&status, example] { status = init(*example); });
    fleet->callback([&status, wish, fleet] {
        if (fleet->get_subcommands().empty()) status = run(*wish);
    });
}

}  // namespace hostside
