#include "hostside/fleet/slurm.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <format>
#include <sstream>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/process.h"
#include "mounts/base/shell_words.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view groups_name = "groups", script_name = "job.sh";

std::string groups_directory(const std::string &results) { return results + "/" + std::string(groups_name); }

Result<std::string> ask(const std::vector<std::string> &argv) {
    auto exit = base::run({.argv = argv, .capture_output = true});
    if (!exit) return fail(exit.error().code, "run", argv[0], "Slurm's commands are not here; run the fleet where they are");
    if (exit->status != 0)
        return fail(
            0, "run", argv[0],
            exit->output.empty() ? std::format("it ended with status {}", exit->status) : printable(last_line(exit->output)));
    return exit->output;
}

// DIR/NAME leads to where the machine's task puts its results.
Result<> link_machine(const std::string &results, const std::string &machine, size_t group) {
    const std::string link = results + "/" + machine, target = std::format("{}/{}/{}", groups_name, group, machine);
    if (::unlink(link.c_str()) < 0 && errno != ENOENT)
        if (auto removed = remove_guest_directory(link); !removed) return removed;
    return ::symlink(target.c_str(), link.c_str()) < 0 ? fail(errno, "link", link) : Result<>();
}

Result<> write_groups(const SlurmWish &wish) {
    const std::string all = groups_directory(wish.place.results());
    if (auto removed = remove_guest_directory(all); !removed) return removed;
    if (::mkdir(all.c_str(), 0755) < 0) return fail(errno, "mkdir", all);
    for (size_t i = 0; i < wish.groups.size(); ++i) {
        const Group &group = wish.groups[i];
        if (auto written = base::replace_file(std::format("{}/{}.json", all, i), group_json(wish.fleet, group)); !written)
            return written;
        for (const size_t member : group.members)
            if (auto linked = link_machine(wish.place.results(), wish.fleet.nodes[member].name, i); !linked) return linked;
    }
    return base::replace_file(all + "/" + std::string(script_name), job_script(wish), 0755);
}

// What the task itself noted; empty: nothing yet.
std::vector<MachineResult> noted_by(const std::string &directory) {
    auto result = results_in(directory + "/" + std::string(results_file));
    return result ? std::move(result->machines) : std::vector<MachineResult>{};
}

// The group of a machine, by its link.
size_t group_of(const std::string &results, const std::string &machine) {
    std::error_code error;
    const std::string target = fs::read_symlink(results + "/" + machine, error).string();
    const size_t begin = groups_name.size() + 1;
    size_t group = SIZE_MAX;
    if (target.size() > begin) (void)std::from_chars(target.data() + begin, target.data() + target.size(), group);
    return group;
}

void merge_machine(const std::vector<MachineResult> &noted, bool over, MachineResult &machine) {
    const auto own = std::ranges::find(noted, machine.name, &MachineResult::name);
    if (own != noted.end()) machine = *own;
    if (!over || (machine.outcome != Outcome::waiting && machine.outcome != Outcome::running)) return;
    machine.outcome = Outcome::failed;
    machine.cause = own == noted.end()
                        ? "its job ended without a result; groups/N.log has what it said"
                        : "its job ended while it ran" + (machine.state.empty() ? "" : "; it had come to: " + machine.state);
}

}  // namespace

std::string group_directory(const std::string &results, size_t group) {
    return std::format("{}/{}", groups_directory(results), group);
}

std::string group_json(const Fleet &fleet, const Group &group) {
    std::string nodes;
    for (const size_t member : group.members) {
        const Node &node = fleet.nodes[member];
        std::string words;
        for (const auto &word : node.command) words += (words.empty() ? "" : ",") + base::json_text(word);
        nodes +=
            std::format("{}\n{}:{{\"description\":{}", nodes.empty() ? "" : ",", base::json_text(node.name), node.description);
        if (!words.empty()) nodes += std::format(",\"command\":[{}]", words);
        if (node.after) nodes += std::format(",\"after\":{}", base::json_text(*node.after));
        if (!node.user.empty()) nodes += std::format(",\"user\":{}", base::json_text(node.user));
        if (node.service) nodes += ",\"service\":true";
        nodes += "}";
    }
    return std::format("{{\"name\":{},\"nodes\":{{{}}}}}\n", base::json_text(fleet.name), nodes);
}

std::string job_script(const SlurmWish &wish) {
    constexpr int64_t own_mib = 64;  // launchers and the fleet's process
    int64_t memory_mib = 0;
    int processors = 1;
    for (const auto &group : wish.groups) {
        memory_mib = std::max(memory_mib, group.memory_mib);
        processors = std::max(processors, group.processors);
    }
    const std::string all = base::quote_word(groups_directory(wish.place.results())), runvm = base::quote_word(wish.runvm);
    // QEMU that fails may be its node's fault: that alone is tried again, elsewhere if Slurm likes, and not for ever.
    return std::format(R"(#!/bin/sh
#SBATCH --array=0-{0}
#SBATCH --nodes=1 --ntasks=1 --cpus-per-task={1}
#SBATCH --mem={2}M
#SBATCH --requeue --open-mode=append
# Of the host that submitted this; runvm has one of its own on each.
unset XDG_RUNTIME_DIR
group={3}/$SLURM_ARRAY_TASK_ID
[ -x {4} ] || {{ echo "$(hostname) has no "{4}; exit 124; }}
{4} fleet "$group.json" -o "$group" --memory {5} --processors {1} --exit-qemu-failed
code=$?
if [ $code = 123 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt 3 ]; then
    # By the task's name: one of the tasks has the array's number for its job's, which means all of them.
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit $code
)",
                       wish.groups.size() - 1, processors, memory_mib + own_mib, all, runvm, memory_mib);
}

Result<std::string> submit_to_slurm(const SlurmWish &wish) {
    if (auto written = write_groups(wish); !written) return std::unexpected(written.error());
    const std::string all = groups_directory(wish.place.results());
    std::vector<std::string> argv{"sbatch", "--parsable", "--job-name=" + wish.fleet.name, "--output=" + all + "/%a.log"};
    argv.insert(argv.end(), wish.options.begin(), wish.options.end());
    argv.push_back(all + "/" + std::string(script_name));
    auto said = ask(argv);
    if (!said) return said;
    const std::string_view line = last_line(*said);
    std::string job(line.substr(0, line.find(';')));
    if (job.empty() || job.find_first_not_of("0123456789") != std::string::npos)
        return fail(0, "run", "sbatch", "expected the job's number, not: " + printable(line));
    if (auto noted = base::replace_file(wish.place.results() + "/" + std::string(slurm_job_file), job + "\n"); !noted)
        return std::unexpected(noted.error());
    return job;
}

std::string slurm_job_of(const std::string &results) {
    const std::string text = base::read_file(results + "/" + std::string(slurm_job_file), 64).value_or("");
    return text.substr(0, text.find_first_not_of("0123456789"));
}

Result<std::map<size_t, std::string>> slurm_tasks(const std::string &job) {
    auto said = ask({"squeue", "--me", "--noheader", "--array", "--format=%F %K %T"});
    if (!said) return std::unexpected(said.error());
    std::map<size_t, std::string> tasks;
    std::istringstream lines(*said);
    std::string of, state;
    // A job that is no array has `N/A` for the task.
    for (std::string task; lines >> of >> task >> state;) {
        size_t group = 0;
        const auto [end, error] = std::from_chars(task.data(), task.data() + task.size(), group);
        if (of == job && error == std::errc{} && end == task.data() + task.size()) tasks[group] = printable(state);
    }
    return tasks;
}

void gather(const std::string &results, const std::map<size_t, std::string> &tasks, FleetResult &result) {
    std::map<size_t, std::vector<MachineResult>> noted;
    for (auto &machine : result.machines) {
        const size_t group = group_of(results, machine.name);
        const auto [at, is_new] = noted.try_emplace(group);
        if (is_new) at->second = noted_by(group_directory(results, group));
        const auto task = tasks.find(group);
        merge_machine(at->second, task == tasks.end(), machine);
        // What a lost node noted is not what is: its task waits, and begins anew.
        if (task != tasks.end() && task->second == "PENDING")
            machine = {.name = machine.name, .memory_mib = machine.memory_mib, .cores = machine.cores};
    }
    result.over = result.count(Outcome::waiting) + result.count(Outcome::running) == 0;
}

}  // namespace hostside
