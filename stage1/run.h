// Runs a planned step: one case a kind, each a call. Nothing is decided here, and nothing is logged.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/step.h"

namespace stage1 {

// One line on what came of it; empty when describe() said all.
base::Result<std::string> run_step(const mounts::Step &step);

}  // namespace stage1
