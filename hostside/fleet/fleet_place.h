// The two directories of a fleet: one for results, and a private one beside the machines' run directories, so that its vlans
// and names do not clash with others. Locks protect both while the fleet runs.
#pragma once

#include <string>
#include <utility>

#include "hostside/base/file_lock.h"
#include "mounts/base/error.h"

namespace hostside {

inline constexpr std::string_view results_file = "results.json";
inline constexpr std::string_view junit_file = "junit.xml";
inline constexpr std::string_view slurm_job_file = "slurm-job";  // the ID of the job array that runs the fleet, if any
inline constexpr std::string_view groups_name = "groups";        // the groups that other processes run (group_place.h)
inline constexpr std::string_view machine_description = "description.json";  // in DIR/NAME, written before all else

class FleetPlace {
  public:
    // Creates both. Error: a fleet already runs there, or the directory contains something other than a fleet's results.
    static base::Result<FleetPlace> create(const std::string &results);
    FleetPlace(FleetPlace &&other) noexcept
        : results_(std::move(other.results_)),
          runtime_(std::exchange(other.runtime_, "")),
          results_lock_(std::move(other.results_lock_)),
          runtime_lock_(std::move(other.runtime_lock_)) {}
    FleetPlace &operator=(FleetPlace &&) = delete;
    FleetPlace(const FleetPlace &) = delete;
    FleetPlace &operator=(const FleetPlace &) = delete;
    // Keeps the results.
    ~FleetPlace();

    [[nodiscard]] const std::string &results() const { return results_; }
    // XDG_RUNTIME_DIR for a group of machines; created on request.
    [[nodiscard]] base::Result<std::string> runtime_of(size_t group) const;
    // Creates an empty DIR/NAME; removes an old one. Error: what has that name is no machine's.
    [[nodiscard]] base::Result<std::string> directory_of(const std::string &machine) const;

  private:
    FleetPlace(std::string results, std::string runtime, FileLock results_lock, FileLock runtime_lock)
        : results_(std::move(results)),
          runtime_(std::move(runtime)),
          results_lock_(std::move(results_lock)),
          runtime_lock_(std::move(runtime_lock)) {}

    std::string results_, runtime_;
    FileLock results_lock_, runtime_lock_;
};

}  // namespace hostside
