// The process that keeps a builder's machine. Nix does not wait for it. It boots the machine, powers it off after some idle
// time, and ends it if it does not answer.
#pragma once

#include <string>

#include "hostside/builder/builder.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

// Locks in a builder's directory: held by users of the machine (shared), by the process that starts it, and by the keeper.
inline constexpr std::string_view use_lock = "use", start_lock = "start", keeper_lock = "keeper";

struct BroughtUp {
    ExecWish machine;  // without a request
    std::string boot;  // unique to each boot
};

// Returns the builder's machine, booted if necessary. Without the lock `use_lock`, the machine may stop at any time.
base::Result<BroughtUp> bring_up(const Builder &builder, const BuilderPlace &place);

// Why the machine ended. wait_for_end_of returns after the end.
struct HowItEnded {
    int code = 0;      // exit_code.h
    std::string text;  // one line
};
HowItEnded wait_for_end_of(const BuilderPlace &place);

}  // namespace hostside
