// Runs a planned step: one case a kind, each a call. Nothing is decided here, and nothing is logged.
#pragma once

#include <map>
#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// What earlier steps of this boot found, by spec (mounts/devices/find_device.h): a device is looked for, and probed for its
// label, once and not by each step that names it.
using FoundDevices = std::map<std::string, std::string>;

// One line on what came of it; empty when describe() said all.
base::Result<std::string> run_step(const mounts::Step &step, FoundDevices &devices);

}  // namespace stage1
