// Prints a boot's report for a terminal or for programs. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/report/boot_report.h"

namespace hostside {

// The phases as bars on a time line, the slowest steps, waits and failures. At most `columns` wide.
std::string as_text(const BootReport &report, const std::string &name, size_t columns);

// Times in microseconds.
std::string as_json(const BootReport &report);

// What got slower or faster from `a` to `b`: phases, then steps, the largest difference first.
std::string comparison(const BootReport &a, const BootReport &b);

// The same for processor time, in nanoseconds. With -icount shift=0 these are instructions. Excludes waiting and everything
// before stage 1.
std::string processor_comparison(const BootReport &a, const BootReport &b, std::string_view sum = "all of stage 1");

// The processor time of stage 1; -1: not reported.
int64_t processor_ns(const BootReport &report);

// Leaves out the steps of other phases.
void keep_phases(BootReport &report, const std::vector<std::string> &names);

// How much longer `b` took than `a`, in percent of `a`.
double slower_percent(const BootReport &a, const BootReport &b);

}  // namespace hostside
