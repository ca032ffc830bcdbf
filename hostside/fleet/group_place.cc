#include "hostside/fleet/group_place.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <format>
#include <ranges>

#include "hostside/base/printable.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// The task's own results so far; may be empty.
std::vector<MachineResult> noted_by(const std::string &directory) {
    auto result = results_in(directory + "/" + std::string(results_file));
    return result ? std::move(result->machines) : std::vector<MachineResult>{};
}

// A machine's group, according to its link.
size_t group_by_link(const std::string &results, const std::string &machine) {
    std::error_code error;
    const std::string target = fs::read_symlink(results + "/" + machine, error).string();
    const size_t begin = groups_name.size() + 1;
    size_t group = SIZE_MAX;
    if (target.size() > begin) (void)std::from_chars(target.data() + begin, target.data() + target.size(), group);
    return group;
}

// Why a group has no results, if its log says so.
std::string why_without(const std::string &results, size_t group) {
    constexpr size_t enough_bytes = size_t{1} << 20;
    const std::string log = std::format("{}/{}.log", groups_directory(results), group);
    const auto said = base::read_file(log, enough_bytes);
    if (!said && said.error().code == ENOENT)
        return "its job ended without a result or a log: its node may not see the results' directory (-o), which all nodes must "
               "share";
    std::string last;
    for (const auto line : std::views::split(said.value_or(""), '\n'))
        if (std::string_view(line).starts_with("runvm: ")) last = printable(std::string_view(line).substr(7));
    return last.empty() ? std::format("its job ended without a result; see groups/{}.log", group) : last;
}

void merge_machine(const std::vector<MachineResult> &noted, bool over, const std::string &why, MachineResult &machine) {
    const auto own = std::ranges::find(noted, machine.name, &MachineResult::name);
    if (own != noted.end()) machine = *own;
    if (!over || (machine.outcome != Outcome::waiting && machine.outcome != Outcome::running)) return;
    machine.outcome = Outcome::failed;
    machine.cause = own == noted.end() ? why
                                       : "its job ended while the machine ran" +
                                             (machine.state.empty() ? "" : "; it had reached: " + machine.state);
}

}  // namespace

std::string groups_directory(const std::string &results) { return results + "/" + std::string(groups_name); }

std::string group_directory(const std::string &results, size_t group) {
    return std::format("{}/{}", groups_directory(results), group);
}

Result<> link_machine(const std::string &results, const std::string &machine, size_t group) {
    const std::string link = results + "/" + machine, target = std::format("{}/{}/{}", groups_name, group, machine);
    if (::unlink(link.c_str()) < 0 && errno != ENOENT)
        if (auto removed = remove_guest_directory(link); !removed) return removed;
    return ::symlink(target.c_str(), link.c_str()) < 0 ? fail(errno, "link", link) : Result<>();
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
        if (!node.from.empty()) nodes += std::format(",\"from\":{}", base::json_text(node.from));
        if (node.service) nodes += ",\"service\":true";
        nodes += "}";
    }
    return std::format("{{\"name\":{},\"nodes\":{{{}}}}}\n", base::json_text(fleet.name), nodes);
}

void gather(const std::string &results, const std::map<size_t, std::string> &tasks, FleetResult &result) {
    std::map<size_t, std::vector<MachineResult>> noted;
    for (auto &machine : result.machines) {
        const size_t group = group_by_link(results, machine.name);
        const auto [at, is_new] = noted.try_emplace(group);
        if (is_new) at->second = noted_by(group_directory(results, group));
        const auto task = tasks.find(group);
        merge_machine(at->second, task == tasks.end(), at->second.empty() ? why_without(results, group) : "", machine);
        // The results of a lost node are obsolete: its task waits to start over.
        if (task != tasks.end() && task->second == "PENDING")
            machine = {.name = machine.name, .memory_mib = machine.memory_mib, .cores = machine.cores};
    }
    result.over = result.count(Outcome::waiting) + result.count(Outcome::running) == 0;
}

}  // namespace hostside
