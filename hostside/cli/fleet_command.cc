#include "hostside/cli/fleet_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <format>
#include <map>
#include <memory>

#include "hostside/base/exit_code.h"
#include "hostside/cli/fleet_init.h"
#include "hostside/cli/fleet_nix.h"
#include "hostside/cli/fleet_plan.h"
#include "hostside/cli/fleet_status.h"
#include "hostside/cli/fleet_view.h"
#include "hostside/cli/fleet_wish.h"
#include "hostside/cli/reporter.h"
#include "hostside/description/description.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/group_place.h"
#include "hostside/fleet/own_snapshots.h"
#include "hostside/fleet/slurm.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

// The first line of QEMU's version. Empty: QEMU is not on this host, which matters only to the nodes.
std::string qemu_version(const Fleet &fleet) {
    const auto machine = machine_from({{"", fleet.nodes.front().description, false}});
    const std::string program = !machine || machine->qemu.empty() ? "qemu-system-x86_64" : machine->qemu;
    const auto said = base::run({.argv = {program, "--version"}, .capture_output = true});
    return said && said->status == 0 ? said->output.substr(0, said->output.find('\n')) : "";
}

int submit(const FleetWish &wish, FleetPlan &plan, const FleetPlace &place) {
    std::map<std::string, size_t> group_of;
    for (size_t i = 0; i < plan.groups.size(); ++i)
        for (const size_t member : plan.groups[i].members) group_of[plan.fleet.nodes[member].name] = i;
    // Read again, because the machines' disks are in the directory of their task.
    auto fleet =
        fleet_of(wish, [&](const std::string &name) { return group_directory(place.results(), group_of[name]) + "/" + name; });
    if (!fleet) return refuse(fleet.error());
    if (auto written = write_results(place.results(), plan.result); !written) return refuse(written.error());
    const auto job = submit_to_slurm({.fleet = *fleet,
                                      .groups = plan.groups,
                                      .place = place,
                                      .runvm = fs::read_symlink("/proc/self/exe"),
                                      .options = wish.sbatch,
                                      .qemu = qemu_version(*fleet)});
    if (!job) return refuse(job.error());
    say(std::format("Slurm's job {} has {} machines in {} tasks; to see their state: runvm fleet --status {}", *job,
                    plan.result.machines.size(), plan.groups.size(), wish.output));
    return 0;
}

// Snapshots are made only where the machines run.
base::Result<> forks_run_here(const FleetWish &wish, const Fleet &fleet) {
    const auto fork = std::ranges::find_if(fleet.nodes, [](const Node &node) { return !node.fork.empty(); });
    if (wish.engine == "local" || fork == fleet.nodes.end()) return {};
    return base::fail(0, "make a snapshot for", fork->name,
                      std::format("--engine={} makes none; {}leave fork out", wish.engine,
                                  wish.engine == "slurm" ? "name one that all nodes see with from, or " : ""));
}

int run(FleetWish &wish) {
    if (!wish.status.empty()) return show_fleet_status(wish);
    if (!wish.gathered.empty()) return gather_fleets(wish);
    if (wish.file.empty()) return refuse({"run a fleet", "", 0, "no file given; `runvm fleet init` writes an example"});
    if (wish.output.empty()) wish.output = fs::path(wish.file).stem().string() + "-results";
    auto plan = plan_fleet(wish);
    if (const auto here = plan ? forks_run_here(wish, plan->fleet) : base::Result<>(); !here) return refuse(here.error());
    if (plan && wish.engine == "nix") plan = plan_for_nix(wish, std::move(*plan));
    if (!plan) return refuse(plan.error());
    auto place = FleetPlace::create(wish.output);
    if (!place) return refuse(place.error());
    if (wish.engine == "slurm") return submit(wish, *plan, *place);
    (void)std::signal(SIGPIPE, SIG_IGN);
    if (wish.engine == "nix") {
        const int code = run_fleet_by_nix(wish, *plan, *place);
        FleetView::tell_where(wish.output, plan->result);
        return code;
    }
    const auto snapshots = own_snapshots(*place, plan->groups, wish.only.empty(), plan->result, plan->fleet);
    if (!snapshots) return refuse(snapshots.error());
    FleetView view(!wish.results_suffice);
    const FleetRun fleet{.fleet = plan->fleet,
                         .groups = plan->groups,
                         .snapshots = *snapshots,
                         .place = *place,
                         .runvm = fs::read_symlink("/proc/self/exe"),
                         .room = plan->room,
                         .any_memory = wish.memory_mib > 0,
                         .fail_fast = wish.fail_fast,
                         .changed = [&](const MachineResult &machine) { view.changed(machine); },
                         .told = [&](const std::string &text) { view.note(text); },
                         .tick = [&](const FleetResult &result) { view.tick(result); }};
    const auto signal = run_fleet(fleet, plan->result);
    if (!signal) return refuse(signal.error());
    view.last(plan->result);
    FleetView::tell_where(wish.output, plan->result);
    if (*signal != 0) return signal_base + *signal;
    const bool qemu_failed_once =
        std::ranges::contains(plan->result.machines, static_cast<int>(qemu_failed), &MachineResult::exit_code);
    if (wish.exit_qemu_failed && qemu_failed_once) return qemu_failed;
    return wish.results_suffice ? 0 : exit_code_of(plan->result);
}

}  // namespace

void add_fleet_command(CLI::App &app, int &status) {
    auto wish = std::make_shared<FleetWish>();
    CLI::App *fleet = app.add_subcommand("fleet", "run the machines in one file, as many at once as there is room for");
    fleet->add_option("file", wish->file, "the description of the machines, in JSON; see runvm(1), FLEETS")->type_name("FILE");
    fleet->add_option("-o,--output", wish->output, "the directory for results; default: FILE-results")->type_name("DIR");
    fleet->add_flag("--fail-fast", wish->fail_fast, "stop all machines when one fails");
    fleet->add_flag("--resume", wish->resume, "run only machines without a result in the output directory");
    const auto repeated = [&](const char *flag, std::vector<std::string> &values, const char *help, const char *type) {
        return fleet->add_option(flag, values, help)
            ->type_name(type)
            ->expected(1)
            ->allow_extra_args(false)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    };
    repeated("--only", wish->only, "run only this machine and those on its vlans; may be repeated", "NAME");
    fleet
        ->add_option("--memory", wish->memory_mib,
                     "memory for all machines together, in MiB; default: nine tenths of the free memory")
        ->check(CLI::Range(1, 1 << 30).description(""))
        ->type_name("MIB");
    fleet->add_option("--processors", wish->processors, "processors for all machines together; default: those that runvm may use")
        ->check(CLI::Range(1, 65536).description(""))
        ->type_name("N");
    fleet->add_option("--like", wish->like, "an earlier results.json; the machines that took longest then start first")
        ->type_name("FILE");
    fleet->add_option("--engine", wish->engine, "what runs the machines: this host, Slurm as a job array, or Nix's builders")
        ->type_name("local|slurm|nix")
        ->check(CLI::IsMember({"local", "slurm", "nix"}).description(""));
    repeated("--sbatch", wish->sbatch, "an extra option for sbatch, such as --sbatch=--constraint=kvm; may be repeated", "TEXT");
    repeated("--nix-option", wish->nix_options, "an extra setting for Nix, such as --nix-option max-jobs=0; may be repeated",
             "NAME=VALUE");
    repeated("--system-feature", wish->system_features,
             "a feature that Nix's builders must have, such as nixos-test; may be repeated", "NAME");
    fleet->add_option("--status", wish->status, "show the state of the fleet in this directory, from the results of its jobs")
        ->type_name("DIR");
    fleet->add_flag("--wait", wish->wait, "with --status: wait until the fleet is over");
    fleet->add_flag("--exit-qemu-failed", wish->exit_qemu_failed,
                    "exit with 123 if a machine's QEMU failed, so that the fleet can be run again");
    fleet->add_flag("--results-suffice", wish->results_suffice)->group("");
    repeated("--gather", wish->gathered, "", "DIR")->group("");
    add_fleet_init_command(*fleet, status);
    fleet->callback([&status, wish, fleet] {
        if (fleet->get_subcommands().empty()) status = run(*wish);
    });
}

}  // namespace hostside
