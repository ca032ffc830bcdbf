// The report's files during the boot: one in /run, for a person at a prompt and for stage 2, and one in xchg, for the host.
// Neither is made durable, because a flush over 9p makes the host's disk work.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/fd.h"

namespace stage1 {

inline constexpr std::string_view report_path = "/run/stage1/report.json";

// A report that cannot be written does not fail the boot; the log has the reason.
class ReportFiles {
  public:
    // Call when /run is mounted.
    void open();
    // Call when xchg is mounted in the target root.
    void open_in_xchg(const std::string &target_root);
    void write(std::string_view text);
    [[nodiscard]] bool in_xchg() const { return in_xchg_; }

  private:
    bool add(const std::string &root, const std::string &path);

    struct Open {
        std::string path;
        base::Fd file;
        size_t size_bytes = 0;
    };
    std::vector<Open> files_;
    bool in_xchg_ = false;
};

}  // namespace stage1
