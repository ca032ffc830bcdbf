// Shows a running fleet on standard output: a table that is redrawn in place on a terminal, otherwise one line per change.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "hostside/fleet/results.h"

namespace hostside {

class FleetView {
  public:
    // `may_draw`: redraw in place if standard output is a terminal. False for a terminal without a user, as in a Nix build.
    explicit FleetView(bool may_draw = true);

    void changed(const MachineResult &machine) const;  // a machine's outcome
    void tick(const FleetResult &result);              // called regularly; redraws what changed
    void note(const std::string &text);                // says something beside the machines
    void last(const FleetResult &result);              // the end: draws the table again and counts the failures

    // Shows where to look next: what each failed machine in `directory` reported.
    static void tell_where(const std::string &directory, const FleetResult &result);

  private:
    void draw(const FleetResult &result);

    bool terminal_;
    size_t drawn_ = 0;  // lines
    std::chrono::steady_clock::time_point drawn_at_;
};

}  // namespace hostside
