// How the machines of a fleet fared: results.json, which is whole at any moment, and junit.xml for those that show tests. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/bounded_json.h"
#include "mounts/base/error.h"

namespace hostside {

// A fleet's file, or what it came to: thousands of machines, of which each may bring its own description.
inline constexpr JsonLimits of_a_fleet{
    .what = "a fleet", .bytes = size_t{64} << 20, .keys = 200'000, .depth = 20, .keys_of_one = 10'000};

enum class Outcome { waiting, running, passed, failed, cancelled, not_run };
std::string_view name(Outcome outcome);

struct MachineResult {
    std::string name;
    Outcome outcome = Outcome::waiting;
    int exit_code = -1;  // -1: none yet
    std::string cause;   // why it is not 0, in one line
    std::string state;   // how far it came: `stage 1: mounts`, `ready`
    double seconds = 0;  // that it ran
    int memory_mib = 0, cores = 0;
};

struct FleetResult {
    std::string name;
    int64_t started_s = 0;  // since 1970
    double seconds = 0;
    bool over = false;
    std::vector<MachineResult> machines;

    [[nodiscard]] size_t count(Outcome outcome) const;
};

std::string results_json(const FleetResult &result);
// Of a plain file; nobody waits for another.
base::Result<FleetResult> results_in(const std::string &path);
base::Result<FleetResult> results_from(std::string_view text, const std::string &origin);

// `said`: the end of what a machine said. In the form that GitLab, GitHub's actions and Jenkins read.
std::string junit_xml(const FleetResult &result, const std::function<std::string(const std::string &name)> &said);

}  // namespace hostside
