// A machine as a Nomad job, in JSON for `nomad job run -json`. The raw_exec driver starts runvm. Pure.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"

namespace hostside {

struct NomadWish {
    const Machine &machine;
    std::vector<std::string> words;  // the command that runs it, runvm's path first
    std::string directory;           // base of relative paths in `words`
};

std::string nomad_job(const NomadWish &wish);

}  // namespace hostside
