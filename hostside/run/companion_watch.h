// Programs beside QEMU that the machine depends on, such as virtiofsd and swtpm.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hostside/run/run_event.h"

namespace hostside {

struct Companion {
    std::string name;
    RunEvent::Kind lost;          // the event of its end
    std::function<bool()> ended;  // returns true once
    std::function<std::string()> last_words;
};

// Notices the first companion that ends. Companions also end when QEMU does, and QEMU's own end explains more. So a lost
// companion is reported only after a moment.
class CompanionWatch {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // `companions` must outlive this.
    explicit CompanionWatch(const std::vector<Companion> &companions) : companions_(companions) {}

    void look();
    // When the loss is to be reported. Empty: none is lost, or it was reported.
    [[nodiscard]] std::optional<Time> due() const { return due_; }
    // Returns the event of a loss that was not reported yet.
    std::optional<RunEvent> take();

  private:
    const std::vector<Companion> &companions_;
    const Companion *lost_ = nullptr;
    std::optional<Time> due_;
};

}  // namespace hostside
