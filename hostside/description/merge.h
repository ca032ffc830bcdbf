// Layers of a description, checked and laid over each other: the values, and who set each.
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
    std::map<std::string, std::string> origins;  // by path: `qemu.machine`; absent: the default
};

base::Result<Merged> merged(const std::vector<Layer> &layers);

// Every default filled in and every value of its type, so this can't fail.
Machine machine_from_json(const Json &value);

}  // namespace hostside
