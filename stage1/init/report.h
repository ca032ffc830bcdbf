// A record of each step: what it did, when, for how long, and with how much CPU time. Collected during the boot and written as
// JSON for the host and for people who ask why a boot was slow. Times are CLOCK_BOOTTIME, microseconds since the kernel
// started.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace stage1 {

struct StepRecord {
    std::string phase;
    std::string step;  // mounts::kind
    std::string text;  // mounts::describe, or the step's result
    int64_t start_us = 0;
    int64_t end_us = 0;
    std::string error{};  // empty: success
    int64_t cpu_ns = 0;   // CPU time of this process and of the children that ended
};

class Report {
  public:
    // The current step is the last record, so a report written during the boot shows where it hangs.
    void begin(std::string phase, std::string step, std::string text);
    void end(std::string result = {}, std::string error = {});

    [[nodiscard]] const std::vector<StepRecord> &records() const { return records_; }
    [[nodiscard]] std::string json() const;
    // One JSON object per record, none longer than `limit_bytes` (at least 4096); truncates the texts of longer ones.
    [[nodiscard]] std::vector<std::string> lines(size_t limit_bytes) const;
    // One line: each phase with its milliseconds.
    [[nodiscard]] std::string summary() const;

  private:
    std::vector<StepRecord> records_;
    int64_t cpu_at_begin_ns_ = 0;
    std::string ended_text_;  // the JSON of finished records, kept because the report is written after each step
};

// CLOCK_BOOTTIME now.
int64_t boot_time_us();

}  // namespace stage1
