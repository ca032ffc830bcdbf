// Stage 1's report of a guest that has no xchg, or not yet: record by record over the status port, kept in the run's directory
// as the file that xchg would have, whole after each record. The guest's root writes it: its size and number are bounded, and
// nothing is made of its text.
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
    // A record, or nothing: a new report begins. What is too much is dropped; a directory that is full costs the report.
    void take(std::string_view record);

  private:
    void begin();

    std::string path_;
    base::Fd file_;
    int64_t end_ = 0;  // of the records, where the next one goes
    int reports_ = 0, records_ = 0;
};

}  // namespace hostside
