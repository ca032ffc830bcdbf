#include "hostside/fleet/free_room.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <filesystem>
#include <functional>
#include <optional>
#include <sstream>
#include <vector>

#include "mounts/base/at.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

constexpr int64_t bytes_of_mib = int64_t{1} << 20;

std::string text_of(const std::string &path) {
    constexpr size_t enough_bytes = 65536;
    return base::read_file(path, enough_bytes).value_or("");
}

std::optional<int64_t> number_in(const std::string &text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} ? std::optional(number) : std::nullopt;
}

// The number after a word at the start of a line: `MemAvailable:    16522 kB`, `inactive_file 4096`.
std::optional<int64_t> number_after(const std::string &text, std::string_view word) {
    std::istringstream lines(text);
    for (std::string first, line; lines >> first; std::getline(lines, line))
        if (int64_t number = 0; first == word && lines >> number) return number;
    return std::nullopt;
}

// The directories of our control group and all its ancestors, for one controller. A container may see its own group as the
// root.
struct Groups {
    bool second_version = false;
    std::vector<std::string> directories;
};

Groups groups_of(const std::string &root, std::string_view controller) {
    std::string path, version_2_path;
    std::istringstream lines(text_of(root + "/proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string named = "," + line.substr(first + 1, second - first - 1) + ",";
        if (named == ",,") version_2_path = line.substr(second + 1);
        if (named.contains("," + std::string(controller) + ",")) path = line.substr(second + 1);
    }
    Groups groups{.second_version = path.empty(), .directories = {}};
    const std::string top = root + "/sys/fs/cgroup" + (groups.second_version ? "" : "/" + std::string(controller));
    const std::string below = groups.second_version ? version_2_path : path;
    if (!below.contains(".."))
        for (fs::path at = below; at.has_relative_path(); at = at.parent_path()) groups.directories.push_back(top + at.string());
    groups.directories.push_back(top);
    return groups;
}

}  // namespace

int64_t free_memory_mib(const std::string &root) {
    int64_t free = INT64_MAX;
    if (const auto kib = number_after(text_of(root + "/proc/meminfo"), "MemAvailable:")) free = *kib * 1024;
    const Groups groups = groups_of(root, "memory");
    const bool second = groups.second_version;
    for (const auto &directory : groups.directories) {
        const auto limit = number_in(text_of(directory + (second ? "/memory.max" : "/memory.limit_in_bytes")));
        const auto used = number_in(text_of(directory + (second ? "/memory.current" : "/memory.usage_in_bytes")));
        if (!limit || !used) continue;
        // The kernel drops cached files that are inactive when we need the memory.
        const auto cached =
            number_after(text_of(directory + "/memory.stat"), second ? "inactive_file" : "total_inactive_file").value_or(0);
        free = std::min(free, *limit - std::max<int64_t>(0, *used - cached));
    }
    return std::max<int64_t>(0, free) / bytes_of_mib;
}

int quota_processors(const std::string &root) {
    int least = INT_MAX;
    const Groups groups = groups_of(root, "cpu");
    for (const auto &directory : groups.directories) {
        std::string quota_text, period_text;
        if (groups.second_version) {
            std::istringstream words(text_of(directory + "/cpu.max"));
            words >> quota_text >> period_text;
        } else {
            quota_text = text_of(directory + "/cpu.cfs_quota_us");
            period_text = text_of(directory + "/cpu.cfs_period_us");
        }
        const auto quota = number_in(quota_text), period = number_in(period_text);
        if (quota && period && *quota > 0 && *period > 0)
            least = std::min(least, static_cast<int>(std::clamp<int64_t>(*quota / *period, 1, INT_MAX)));
    }
    return least;
}

Room free_room() {
    cpu_set_t ours;
    CPU_ZERO(&ours);
    const bool known = ::sched_getaffinity(0, sizeof ours, &ours) == 0;
    const int allowed = known ? CPU_COUNT(&ours) : 1;
    return {free_memory_mib(""), std::min(allowed, quota_processors(""))};
}

}  // namespace hostside
