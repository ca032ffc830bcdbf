// Who holds a builder's machine: a process that Nix does not wait for. It boots the machine, powers it off when nobody has used
// it for a while, and ends one that does not answer.
#pragma once

#include <string>

#include "hostside/builder/builder.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

// The locks in a builder's place: who uses the machine (shared), who starts it, and who keeps it.
inline constexpr std::string_view use_lock = "use", start_lock = "start", keeper_lock = "keeper";

struct BroughtUp {
    ExecWish machine;  // without a request
    std::string boot;  // a text that no other boot has
};

// The builder's machine, booted if it does not run. The caller holds `use_lock`, or the machine may go at once.
base::Result<BroughtUp> bring_up(const Builder &builder, const BuilderPlace &place);

// Why its machine ended, once it has.
struct HowItEnded {
    int code = 0;      // exit_code.h
    std::string text;  // in one line
};
HowItEnded wait_for_end_of(const BuilderPlace &place);

}  // namespace hostside
