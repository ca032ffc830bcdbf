// A fleet as one job array of Slurm: each task runs one group of machines by a `runvm fleet` of its own, in DIR/groups/N of a
// directory that all nodes see, and leaves its results there. Slurm decides where and when, and runs again what its node lost.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct SlurmWish {
    const Fleet &fleet;  // whose machines have their disks in group_directory()
    const std::vector<Group> &groups;
    const FleetPlace &place;
    std::string runvm;                 // the program, by a path that it has on the nodes too
    std::vector<std::string> options;  // more of sbatch's
};

// The array's number. Error: no Slurm here, or what sbatch said.
base::Result<std::string> submit_to_slurm(const SlurmWish &wish);

// The job of a fleet's directory. Empty: it is of this host alone.
std::string slurm_job_of(const std::string &results);

// The states that Slurm has of the array's tasks, by group: PENDING, RUNNING and so on; those that are over are not in it.
base::Result<std::map<size_t, std::string>> slurm_tasks(const std::string &job);

// --- pure ---
std::string job_script(const SlurmWish &wish);
}  // namespace hostside
