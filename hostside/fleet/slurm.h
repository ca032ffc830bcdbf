// Runs a fleet as one Slurm job array: each task runs one group of machines with its own `runvm fleet`, in DIR/groups/N of a
// directory that all nodes share, and leaves its results there. Slurm decides where and when, and reruns tasks of lost nodes.
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
    const Fleet &fleet;  // its machines have their disks in group_directory()
    const std::vector<Group> &groups;
    const FleetPlace &place;
    std::string runvm;                 // the program's path, which is the same on all nodes
    std::vector<std::string> options;  // extra options for sbatch
    std::string qemu = {};             // QEMU's version on this host; empty: not checked
};

// Returns the array's job ID. Requests nodes with the feature kvm if there are any and some machine is not emulated. Error:
// Slurm is not installed, sbatch failed, or a machine requires KVM and no node has the feature.
base::Result<std::string> submit_to_slurm(const SlurmWish &wish);

// The job of a fleet's directory. Empty: the fleet runs only on this host.
std::string slurm_job_of(const std::string &results);

// Slurm's states of the array's tasks, by group: PENDING, RUNNING and so on. Tasks that are over are missing.
base::Result<std::map<size_t, std::string>> slurm_tasks(const std::string &job);

// --- pure ---
// `kvm`: only on nodes with that feature.
std::string job_script(const SlurmWish &wish, bool kvm);
}  // namespace hostside
