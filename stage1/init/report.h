// What each step did, when, for how long and with how much of the processor: collected while the boot runs, written as JSON for
// the host and for whoever asks why a boot was slow. Times are CLOCK_BOOTTIME, microseconds since the kernel started.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace stage1 {

struct StepRecord {
    std::string phase;
    std::string step;  // mounts::kind
    std::string text;  // mounts::describe, or what came of it
    int64_t start_us = 0;
    int64_t end_us = 0;
    std::string error{};  // empty: done
    int64_t cpu_ns = 0;   // of processor time, ours and that of the children that ended
};

class Report {
  public:
    // The record under way is the last one; a report that is written in between shows where a boot hangs.
    void begin(std::string phase, std::string step, std::string text);
    void end(std::string result = {}, std::string error = {});

    [[nodiscard]] const std::vector<StepRecord> &records() const { return records_; }
    [[nodiscard]] std::string json() const;
    // A JSON object each, none longer than `limit_bytes` (of at least 4096): of what is too long, the words are cut.
    [[nodiscard]] std::vector<std::string> lines(size_t limit_bytes) const;
    // A line a phase: its name and milliseconds.
    [[nodiscard]] std::string summary() const;

  private:
    std::vector<StepRecord> records_;
    int64_t cpu_at_begin_ns_ = 0;
    std::string ended_text_;  // the JSON of those that ended: written at each step's end, it is made once
};

// CLOCK_BOOTTIME now.
int64_t boot_time_us();

}  // namespace stage1
