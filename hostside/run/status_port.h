// The host's end of the guest's status port (mounts/protocol.h). At the other end is the guest's root, who may send
// anything, without end: lines are bounded, what is no line of the protocol is dropped, and text comes out printable.
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
    int code = 0;      // of exit; of waits: the seconds
    std::string text;  // see printable(); of a phase, its name; of step and waits, what; of report, a record as the guest wrote
                       // it, or nothing
};

// A line without its newline. Pure.
StatusLine parse_status(std::string_view line);

class StatusPort {
  public:
    // `socket`: connected to QEMU's chardev. Without `answers_failure` a guest that failed goes without an answer, for which it
    // waits some seconds: whoever ends it then is spared the menu that nobody reads.
    explicit StatusPort(base::Fd socket, bool answers_failure = true)
        : socket_(std::move(socket)), answers_failure_(answers_failure) {}
    [[nodiscard]] int fd() const { return socket_.get(); }

    // What one read brings, each line acknowledged if the protocol knows it. Never blocks; fd() is -1 after the other end
    // closed. The first of each kind alone: a guest that repeats itself says nothing new.
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
