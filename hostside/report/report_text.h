// A boot's report for a terminal and for programs. Pure.
#pragma once

#include <string>

#include "hostside/report/boot_report.h"

namespace hostside {

// The phases as bars on one time line, the slowest steps, what was waited for, what failed. At most `columns` wide.
std::string as_text(const BootReport &report, const std::string &name, size_t columns);

// Times in microseconds.
std::string as_json(const BootReport &report);

// What got slower from `a` to `b`, and what faster: phases, then steps, the largest difference first.
std::string comparison(const BootReport &a, const BootReport &b);

// The same of processor time alone, in nanoseconds, which under -icount shift=0 are instructions: nothing that was waited for is
// in it, and nothing before stage 1.
std::string processor_comparison(const BootReport &a, const BootReport &b);

// All of stage 1's; -1: its report does not tell.
int64_t processor_ns(const BootReport &report);

// How much longer `b` took than `a`, in percent of `a`.
double slower_percent(const BootReport &a, const BootReport &b);

}  // namespace hostside
