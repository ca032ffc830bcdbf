// What a run tells about itself on standard error: sentences for people, or events as JSON lines for programs.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace hostside {

// One line for a person: `runvm: TEXT`.
void say(const std::string &text);

class Reporter {
  public:
    explicit Reporter(bool json) : json_(json) {}

    // `event` is one of those of supervise.h, or `note`.
    void event(std::string_view event, std::string_view detail) const;
    void note(const std::string &text) const;

  private:
    bool json_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace hostside
