#include "hostside/run/companion_watch.h"

namespace hostside {

void CompanionWatch::look() {
    for (const auto &companion : companions_)
        if (companion.ended() && lost_ == nullptr) {
            lost_ = &companion;
            due_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        }
}

std::optional<RunEvent> CompanionWatch::take() {
    if (!due_) return std::nullopt;
    due_.reset();
    const std::string words = lost_->last_words();
    return RunEvent{lost_->lost, lost_->name + " has ended" + (words.empty() ? words : ": " + words)};
}

}  // namespace hostside
