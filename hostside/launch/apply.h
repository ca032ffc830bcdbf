// The only part of a launch with effects.
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

// Resources that are held while the machine runs.
struct Held {
    std::vector<FileLock> locks;
    std::vector<base::Fd> devices;
    std::vector<VlanPort> vlans;
    std::vector<GuestRelay> relays;
};

// Error: no room, or another process was faster. ESTALE: nothing was done, because the facts behind the plan have changed.
base::Result<Held> apply(const LaunchPlan &plan);

// The content for a step that writes a file.
base::Result<std::string> content(const WriteFile &step);

}  // namespace hostside
