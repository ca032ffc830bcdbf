// Stage 1's report from a guest without a mounted xchg. It arrives record by record over the status port and is kept in the run
// directory as in xchg, complete after each record. The guest's root writes it, so size and number are limited and its text is
// not interpreted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/fd.h"

namespace hostside {

class PortReport {
  public:
    explicit PortReport(const std::string &run_directory);
    // Takes a record. An empty one begins a new report. Drops what exceeds the limits. If the directory is full, the report is
    // lost.
    void take(std::string_view record);

  private:
    void begin();

    std::string path_;
    base::Fd file_;
    int64_t end_ = 0;  // where the next record goes
    int reports_ = 0, records_ = 0;
};

}  // namespace hostside
