#include "hostside/cli/fleet_nix.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <format>
#include <string>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/base/program_path.h"
#include "hostside/cli/fleet_status.h"
#include "hostside/cli/fleet_view.h"
#include "hostside/cli/reporter.h"
#include "hostside/description/description.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/nix_engine.h"
#include "hostside/fleet/table.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// The directory of QEMU's programs in the store, according to PATH. Empty if each machine names its own.
Result<std::string> qemu_path_of(const Fleet &fleet) {
    for (const auto &node : fleet.nodes) {
        const auto machine = machine_from({{node.name, node.description, false}});
        if (!machine || machine->qemu.starts_with("/nix/store/")) continue;
        const std::string program = machine->qemu.empty() ? "qemu-system-x86_64" : machine->qemu;
        for (const auto &path : programs_named(program)) {
            std::error_code error;
            const std::string real = fs::canonical(path, error);
            if (!error && real.starts_with("/nix/store/")) return fs::path(real).parent_path().string();
        }
        return fail(
            0, "find QEMU for", node.name,
            "a Nix build sees only the store, and the QEMU in PATH is not there; name one in the store with qemu.program");
    }
    return std::string();
}

}  // namespace

Result<FleetPlan> plan_for_nix(const FleetWish &wish, FleetPlan plan) {
    // Read again, because the disks are where the machines are built.
    auto fleet = fleet_of(wish, [](const std::string &) { return std::string(); });
    if (!fleet) return std::unexpected(fleet.error());
    plan.fleet = std::move(*fleet);
    for (const auto &node : plan.fleet.nodes)
        if (auto ok = only_of_the_store(node); !ok) return std::unexpected(ok.error());
    for (const auto &option : wish.nix_options)
        if (option.find('=') == 0 || !option.contains('='))
            return fail(0, "read --nix-option", option, "it must be NAME=VALUE, such as --nix-option max-jobs=0");
    if (auto qemu = qemu_path_of(plan.fleet); !qemu) return std::unexpected(qemu.error());
    return plan;
}

int run_fleet_by_nix(const FleetWish &wish, FleetPlan &plan, const FleetPlace &place) {
    FleetView view;
    const auto signal = run_by_nix({.wish = {.fleet = plan.fleet,
                                             .groups = plan.groups,
                                             .runvm = fs::read_symlink("/proc/self/exe"),
                                             .qemu_path = qemu_path_of(plan.fleet).value_or(""),
                                             .features = wish.system_features,
                                             .again = {}},
                                    .place = place,
                                    .options = wish.nix_options,
                                    .changed = [&](const MachineResult &machine) { view.changed(machine); },
                                    .tick = [&](const FleetResult &result) { view.tick(result); }},
                                   plan.result);
    if (!signal) return refuse(signal.error());
    view.last(plan.result);
    return *signal != 0 ? signal_base + *signal : exit_code_of(plan.result);
}

int gather_fleets(const FleetWish &wish) {
    if (wish.output.empty()) return refuse({"gather results", "", 0, "no directory given; name one with -o"});
    auto place = FleetPlace::create(wish.output);
    if (!place) return refuse(place.error());
    FleetResult all{.name = "", .over = true, .machines = {}};
    for (const auto &directory : wish.gathered) {
        auto one = results_in(directory + "/" + std::string(results_file));
        if (!one) return refuse(one.error());
        if (all.name.empty()) all.name = one->name, all.started_s = one->started_s;
        all.seconds += one->seconds;
        for (auto &machine : one->machines) {
            const std::string link = place->results() + "/" + machine.name, target = directory + "/" + machine.name;
            if (::symlink(target.c_str(), link.c_str()) < 0) return refuse({"link", link, errno, ""});
            if (machine.outcome == Outcome::failed) say(line_of(machine));
            all.machines.push_back(std::move(machine));
        }
    }
    if (auto written = write_results(place->results(), all); !written) return refuse(written.error());
    return wish.results_suffice ? 0 : exit_code_of(all);
}

}  // namespace hostside
