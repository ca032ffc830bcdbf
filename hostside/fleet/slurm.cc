#include "hostside/fleet/slurm.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <format>
#include <ranges>
#include <sstream>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/description/description.h"
#include "hostside/fleet/engine_tool.h"
#include "hostside/fleet/group_place.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/process.h"
#include "mounts/base/shell_words.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view script_name = "job.sh";

constexpr const char *no_slurm = "Slurm's commands are not installed here; run the fleet on a host that has them";

// Whether the array needs nodes with KVM. Clusters declare KVM as the feature `kvm` in slurm.conf or helpers.conf.
Result<bool> needs_kvm(const Fleet &fleet) {
    const Node *must = nullptr;
    bool may = false;
    for (const auto &node : fleet.nodes) {
        const auto machine = machine_from({{node.name, node.description, false}});
        if (!machine) return std::unexpected(machine.error());
        if (machine->accelerator == "kvm") must = &node;
        may = may || machine->accelerator != "tcg";
    }
    if (!may) return false;
    auto said = ask_engine({"sinfo", "--noheader", "--format=%f"}, no_slurm);
    if (!said) return std::unexpected(said.error());
    for (const auto words : std::views::split(*said, '\n'))
        for (const auto feature : std::views::split(std::string_view(words), ','))
            if (std::string_view(feature) == "kvm") return true;
    if (must != nullptr)
        return fail(0, "find nodes with KVM for", must->name,
                    "no Slurm node has the feature kvm; run `runvm check --kvm KERNEL` on a node to see whether it should have "
                    "it (Features=kvm in slurm.conf)");
    return false;
}

Result<> write_groups(const SlurmWish &wish, bool kvm) {
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
    return base::replace_file(all + "/" + std::string(script_name), job_script(wish, kvm), 0755);
}

// Checks first that the node has QEMU, and notes a version other than this host's in the task's log.
std::string qemu_lines(const SlurmWish &wish) {
    const auto machine = machine_from({{"", wish.fleet.nodes.front().description, false}});
    const std::string program =
        base::quote_word(!machine || machine->qemu.empty() ? std::string("qemu-system-x86_64") : machine->qemu);
    std::string lines = std::format(
        "qemu=$({0} --version 2>&1 | head -n 1)\n"
        "command -v {0} >/dev/null || unfit \"has no QEMU: no \"{0}\"; install it there, or name one that all nodes see "
        "(qemu.program)\"\n",
        program);
    if (!wish.qemu.empty())
        lines +=
            std::format("[ \"$qemu\" = {} ] || echo \"runvm: $(hostname) has a different QEMU than the fleet's host: $qemu\"\n",
                        base::quote_word(wish.qemu));
    return lines;
}

}  // namespace

std::string job_script(const SlurmWish &wish, bool kvm) {
    constexpr int64_t own_mib = 64;  // for launchers and the fleet's process
    int64_t memory_mib = 0;
    int processors = 1;
    for (const auto &group : wish.groups) {
        memory_mib = std::max(memory_mib, group.memory_mib);
        processors = std::max(processors, group.processors);
    }
    const std::string all = base::quote_word(groups_directory(wish.place.results())), runvm = base::quote_word(wish.runvm);
    // A QEMU failure may be the node's fault. Only that is retried, maybe on another node, a limited number of times.
    return std::format(R"(#!/bin/sh
#SBATCH --array=0-{0}
#SBATCH --nodes=1 --ntasks=1 --cpus-per-task={1}
#SBATCH --mem={2}M
#SBATCH --requeue --open-mode=append
{6}# This is the submitting host's; on each node, runvm uses the node's own.
unset XDG_RUNTIME_DIR
group={3}/$SLURM_ARRAY_TASK_ID
unfit() {{ echo "runvm: $(hostname) $*"; exit 124; }}
[ -r "$group.json" ] || unfit "can't read $group.json; -o must name a directory that all nodes share"
[ -x {4} ] || unfit "has no "{4}"; install it there, or use one that all nodes see"
{7}{4} fleet "$group.json" -o "$group" --memory {5} --processors {1} --exit-qemu-failed
code=$?
if [ $code = 123 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt 3 ]; then
    # By the task's name: one of the tasks has the array's number for its job's, which means all of them.
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit $code
)",
                       wish.groups.size() - 1, processors, memory_mib + own_mib, all, runvm, memory_mib,
                       kvm ? "#SBATCH --constraint=kvm\n" : "", qemu_lines(wish));
}

Result<std::string> submit_to_slurm(const SlurmWish &wish) {
    auto kvm = needs_kvm(wish.fleet);
    if (!kvm) return std::unexpected(kvm.error());
    if (auto written = write_groups(wish, *kvm); !written) return std::unexpected(written.error());
    const std::string all = groups_directory(wish.place.results());
    std::vector<std::string> argv{"sbatch", "--parsable", "--job-name=" + wish.fleet.name, "--output=" + all + "/%a.log"};
    argv.insert(argv.end(), wish.options.begin(), wish.options.end());
    argv.push_back(all + "/" + std::string(script_name));
    auto said = ask_engine(argv, no_slurm);
    if (!said && said.error().hint.contains("node configuration is not available"))
        return fail(0, "run", "sbatch",
                    said.error().hint +
                        "; no node has enough memory and processors for the largest machine, or for all machines of a vlan: "
                        "`sinfo --Node --long` lists the nodes; lower memorySize or cores");
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
    auto said = ask_engine({"squeue", "--me", "--noheader", "--array", "--format=%F %K %T"}, no_slurm);
    if (!said) return std::unexpected(said.error());
    std::map<size_t, std::string> tasks;
    std::istringstream lines(*said);
    std::string of, state;
    // A job that is not an array has `N/A` as its task.
    for (std::string task; lines >> of >> task >> state;) {
        size_t group = 0;
        const auto [end, error] = std::from_chars(task.data(), task.data() + task.size(), group);
        if (of == job && error == std::errc{} && end == task.data() + task.size()) tasks[group] = printable(state);
    }
    return tasks;
}

}  // namespace hostside
