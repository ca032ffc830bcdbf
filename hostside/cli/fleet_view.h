// A fleet while it runs, on standard output: a table that is drawn over itself on a terminal, a line for each change elsewhere.
#pragma once

#include <chrono>
#include <cstddef>

#include "hostside/fleet/results.h"

namespace hostside {

class FleetView {
  public:
    // `may_draw`: over itself, if standard output is a terminal. One that nobody sits at, as a build of Nix has, is not drawn on.
    explicit FleetView(bool may_draw = true);

    void changed(const MachineResult &machine) const;  // a machine's outcome
    void tick(const FleetResult &result);              // from time to time: draws what moved
    void last(const FleetResult &result);              // the end: the table once more, and how many failed

  private:
    void draw(const FleetResult &result);

    bool terminal_;
    size_t drawn_ = 0;  // lines
    std::chrono::steady_clock::time_point drawn_at_;
};

}  // namespace hostside
