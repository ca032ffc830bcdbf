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
    // At most `columns` characters, its end cut. The last phase still runs, unless `over`.
    [[nodiscard]] std::string text(double now_s, size_t columns, bool over = false) const;

  private:
    struct Phase {
        std::string name;
        double begin_s;
    };
    std::vector<Phase> phases_;
    std::string doing_;
};

}  // namespace hostside
