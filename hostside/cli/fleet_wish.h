// What the flags of `runvm fleet` request.
#pragma once

#include <string>
#include <vector>

namespace hostside {

struct FleetWish {
    std::string file, output, like, engine = "local", status;
    std::vector<std::string> only, sbatch, nix_options, system_features, gathered;
    int memory_mib = 0, processors = 0;
    bool fail_fast = false, resume = false, wait = false;
    // For engines: exit with 123 if a machine's QEMU failed; exit with 0 whatever the results.
    bool exit_qemu_failed = false, results_suffice = false;
};

}  // namespace hostside
