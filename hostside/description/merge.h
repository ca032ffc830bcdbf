// Checks and merges the layers of a description: the values, and which layer set each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hostside/description/description.h"
#include "hostside/description/json.h"
#include "mounts/base/error.h"

namespace hostside {

struct Merged {
    Json value;
    std::map<std::string, std::string> origins;  // by path: `qemu.machine`; missing: the default
};

base::Result<Merged> merged(const std::vector<Layer> &layers);

// All defaults must be filled in and all values must have the right type, so this can't fail.
Machine machine_from_json(const Json &value);

}  // namespace hostside
