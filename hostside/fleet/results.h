// The results of a fleet's machines: results.json, which is always complete, and junit.xml for programs that show tests. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/bounded_json.h"
#include "mounts/base/error.h"

namespace hostside {

// Limits for a fleet's file and its results: thousands of machines, each maybe with its own description.
inline constexpr JsonLimits of_a_fleet{
    .what = "a fleet", .bytes = size_t{64} << 20, .keys = 200'000, .depth = 20, .keys_of_one = 10'000};

enum class Outcome { waiting, running, passed, failed, cancelled, not_run };
std::string_view name(Outcome outcome);

struct MachineResult {
    std::string name;
    Outcome outcome = Outcome::waiting;
    int exit_code = -1;  // -1: none yet
    std::string cause;   // why it is not 0; one line
    std::string state;   // progress: `stage 1: mounts`, `ready`
    double seconds = 0;  // run time
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
// Reads only a regular file, so that it never blocks.
base::Result<FleetResult> results_in(const std::string &path);
base::Result<FleetResult> results_from(std::string_view text, const std::string &origin);

// `said`: returns the end of a machine's output. The format is the one that GitLab, GitHub Actions and Jenkins read.
std::string junit_xml(const FleetResult &result, const std::function<std::string(const std::string &name)> &said);

}  // namespace hostside
