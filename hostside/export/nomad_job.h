// A machine as a job of Nomad's, in JSON, which `nomad job run -json` takes: its raw_exec driver starts runvm. Pure.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"

namespace hostside {

struct NomadWish {
    const Machine &machine;
    std::vector<std::string> words;  // the command that runs it, runvm's path first
    std::string directory;           // from which relative paths in them are meant
};

std::string nomad_job(const NomadWish &wish);

}  // namespace hostside
