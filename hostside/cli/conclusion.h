// What remains to be done when QEMU has ended: the run is kept among the last ones, and its last words are composed.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/host/run_record.h"
#include "hostside/launch/prepare.h"
#include "hostside/run/ending.h"
#include "mounts/base/error.h"

namespace hostside {

// The record of a run that begins now.
RunRecord record_of(const Machine &machine);

// Copies stage 1's report out of the run directory, which is about to be removed, to `path`.
base::Result<> keep_report(const HostFacts &facts, const std::string &path);

// Completes the record and keeps the run for `runvm logs`, `status` and `report`. Returns the lines that end the run's output;
// none if there is nothing to say.
std::vector<std::string> conclude(const Heard &heard, const Machine &machine, const Prepared &prepared, RunRecord &record,
                                  int code, double seconds);

}  // namespace hostside
