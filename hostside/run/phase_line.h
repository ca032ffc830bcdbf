// The phases of a boot with the time that each took, as one line: `disk 0.1 s, kernel 1.9 s, stage 1 0.4 s ...`. Pure:
// whoever shows it says what time it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

class PhaseLine {
  public:
    // The phase before ends now. The one that runs already goes on.
    void enter(std::string_view phase, double now_s);
    // What is being done within the phase, until the next one: "making the initrd". Shown in its place.
    void doing(std::string_view what) { doing_ = what; }
    // A device is waited for within the phase, for at most `limit_s`.
    void waits(std::string_view what, double limit_s, double now_s) {
        waits_for_ = what;
        wait_limit_s_ = limit_s;
        waits_since_s_ = now_s;
    }
    // At most `columns` characters, its end cut. The last phase still runs, unless `over`.
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
