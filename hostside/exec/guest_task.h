// Runs something in the guest for the launcher itself. Only a failure is of interest, and then the reason that the guest gives.
#pragma once

#include <string>
#include <string_view>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: as run_in_guest(), or `step` and `what` with the words of a task or command that failed (code 0).
base::Result<> run_to_success(ExecWish wish, std::string_view step, const std::string &what);

// Writes `text` to the guest's file `place`, readable by its owner.
base::Result<> put_text(const ExecWish &machine, std::string_view text, const std::string &place);

}  // namespace hostside
