// The phases of a boot and their durations in one line: `disk 0.1 s, kernel 1.9 s, stage 1 0.4 s ...`. Pure: the caller passes
// the time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

class PhaseLine {
  public:
    // Ends the previous phase. Does nothing if this phase already runs.
    void enter(std::string_view phase, double now_s);
    // The current work within the phase, shown instead of its name until the next phase: "making the initrd".
    void doing(std::string_view what) { doing_ = what; }
    // The phase waits for a device, for at most `limit_s`.
    void waits(std::string_view what, double limit_s, double now_s) {
        waits_for_ = what;
        wait_limit_s_ = limit_s;
        waits_since_s_ = now_s;
    }
    // At most `columns` characters; cuts off the end. The last phase still runs, unless `over`.
    [[nodiscard]] std::string text(double now_s, size_t columns, bool over = false) const;

  private:
    struct Phase {
        std::string name;
        double begin_s;
    };
    std::vector<Phase> phases_;
    std::string doing_, waits_for_;
    double wait_limit_s_ = 0, waits_since_s_ = 0;
};

}  // namespace hostside
