// The one place where a launch has effects.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/host/guest_relay.h"
#include "hostside/host/vlan.h"
#include "hostside/launch/plan.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// What is held for as long as the machine runs.
struct Held {
    std::vector<FileLock> locks;
    std::vector<base::Fd> devices;
    std::vector<VlanPort> vlans;
    std::vector<GuestRelay> relays;
};

// Error: no room, or another came first. ESTALE: nothing is done yet, and what the plan was made from is no more.
base::Result<Held> apply(const LaunchPlan &plan);

// The content of a step that writes a file.
base::Result<std::string> content(const WriteFile &step);

}  // namespace hostside
