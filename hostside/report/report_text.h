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

// How much longer `b` took than `a`, in percent of `a`.
double slower_percent(const BootReport &a, const BootReport &b);

}  // namespace hostside
