// Where the report is while the boot goes on: in /run, for a person at a prompt and for stage 2, and in xchg, for the host.
// Neither is made durable: a flush over 9p makes the host's disk work, and the text is only of use if the boot went on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/fd.h"

namespace stage1 {

inline constexpr std::string_view report_path = "/run/stage1/report.json";

// A report that can't be written costs the report, not the boot: the log says why.
class ReportFiles {
  public:
    // Once /run is there.
    void open();
    // Once xchg is mounted in the target root.
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
