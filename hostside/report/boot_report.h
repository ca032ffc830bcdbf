// Reads the report of a boot, in which stage 1 lists its steps (stage1/init/report.h). It comes from a guest or a stranger's
// file, so sizes and numbers are bounded and texts are made printable. Only reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

inline constexpr std::string_view stage2_phase = "stage 2";  // of the steps after stage 1
inline constexpr size_t report_limit_bytes = size_t{16} << 20;

struct ReportStep {
    std::string phase, kind, text;
    std::string error;     // empty: succeeded or still running
    int64_t start_us = 0;  // since the kernel's start
    int64_t end_us = 0;    // if not `ended`: the latest known time
    bool ended = true;
    int64_t cpu_ns = -1;  // processor time; -1: not reported
    [[nodiscard]] int64_t took_us() const { return end_us - start_us; }
};

struct ReportPhase {
    std::string name;  // `kernel` is the time before the first step
    int64_t start_us = 0, end_us = 0;
    [[nodiscard]] int64_t took_us() const { return end_us - start_us; }
};

struct BootReport {
    std::vector<ReportStep> steps;    // in order of their start
    std::vector<ReportPhase> phases;  // the kernel's time, then the phases of stage 1
    int64_t end_us = 0;
    int64_t stage2_us = -1;  // when stage 2 began, if the guest's systemd reported it; otherwise -1
    [[nodiscard]] int64_t stage1_end_us() const { return stage2_us < 0 ? end_us : stage2_us; }
    // The step that failed or never ended; null: stage 1 reached stage 2.
    [[nodiscard]] const ReportStep *stuck() const;
};

// Error: not a report, or more than 4096 steps.
base::Result<BootReport> boot_report(std::string_view text, const std::string &name);

// `web: stage 1 took 1.234 s, the kernel 3 s before it`.
std::string durations(const BootReport &report, const std::string &name);

// `1.234 s`, `12.3 ms`.
std::string spent(int64_t us);

// The longest first, at most `most`. Leaves out steps shorter than a thousandth of the total.
std::vector<const ReportStep *> slowest(const BootReport &report, size_t most);

}  // namespace hostside
