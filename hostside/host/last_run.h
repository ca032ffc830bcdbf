// The last run of each name: its record, console and stage 1's report, in ${XDG_STATE_HOME:-~/.local/state}/runvm/NAME.
// Readable only by the owner; at most 32 names with 3 MiB each. Without a writable home directory, nothing is kept and nothing
// fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/host/run_record.h"
#include "mounts/base/error.h"

namespace hostside {

// Copies the files of a run directory, whose last component is the machine's name, and the report in `xchg`. False: there is no
// place to keep them.
bool keep_run(const std::string &run_directory, const std::string &xchg, const RunRecord &record);

// The same for a run whose launcher was killed.
void keep_abandoned_run(const std::string &run_directory);

struct LastRun {
    std::string name;
    RunRecord record;
};
// Newest first.
std::vector<LastRun> last_runs();
base::Result<RunRecord> last_run(const std::string &name);

// The existing parts of the console, oldest first.
base::Result<std::string> last_console(const std::string &name);
// The names of the store paths that the machine used, and of those in its closure, as the guest and the launcher left them. The
// second list may be empty. Error: the guest did not report them (stage1.union.trace=paths).
struct TracedPaths {
    std::string used, closure;
};
base::Result<TracedPaths> last_paths(const std::string &name);
base::Result<TracedPaths> traced_paths(const std::string &run_directory, const std::string &xchg);

base::Result<std::string> last_report(const std::string &name);
// The path of the console log, for a person. Empty: none.
std::string last_console_path(const std::string &name);

}  // namespace hostside
