// The host's end of the guest's status port (mounts/protocol.h). The guest's root is at the other end and may send anything,
// without end: so lines have a length limit, unknown lines are dropped, and text is made printable.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "mounts/base/fd.h"

namespace hostside {

struct StatusLine {
    enum Kind { ready, exit, failed, stage2, phase, step, waits, report, fresh, fork_point, unknown } kind = unknown;
    int code = 0;      // for exit: the status; for waits: the seconds
    std::string text;  // see printable(); phase: its name; step, waits: what; report: the record as the guest wrote it,
                       // or empty
};

// A line without its newline. Pure.
StatusLine parse_status(std::string_view line);

class StatusPort {
  public:
    // `socket`: connected to QEMU's chardev. A guest that failed waits some seconds for an answer. Without `answers_failure` it
    // gets none; if the caller then ends the machine, no menu appears that nobody would read.
    explicit StatusPort(base::Fd socket, bool answers_failure = true)
        : socket_(std::move(socket)), answers_failure_(answers_failure) {}
    [[nodiscard]] int fd() const { return socket_.get(); }

    // Does one read and returns its lines; acknowledges those that the protocol knows. Never blocks. fd() is -1 after the other
    // end closed. Returns only the first line of each kind, because repetitions say nothing new.
    std::vector<StatusLine> receive();

  private:
    base::Fd socket_;
    bool answers_failure_;
    LineReader lines_{4096};
    bool seen_[4] = {};
    std::set<std::string> phases_;
    int steps_ = 0;
    bool vouched_ = false, fork_point_ = false;
};

}  // namespace hostside
