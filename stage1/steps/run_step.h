// Runs one planned step: each kind of step is one case and one call. Decides nothing and logs nothing.
#pragma once

#include <map>
#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Devices that earlier steps of this boot found, by spec (mounts/devices/find_device.h). A device is searched and probed once,
// not for each step that names it.
using FoundDevices = std::map<std::string, std::string>;

// Returns one line about the result; empty if describe() said everything.
base::Result<std::string> run_step(const mounts::Step &step, FoundDevices &devices);

}  // namespace stage1
