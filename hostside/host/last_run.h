// What is left of the last run of each name: its record, its console, stage 1's report. They are in
// ${XDG_STATE_HOME:-~/.local/state}/runvm/NAME, for their owner alone, of at most 32 names and 3 MiB each. Without a home that
// is there, or one that can be written, nothing is made and nothing fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/host/run_record.h"
#include "mounts/base/error.h"

namespace hostside {

// Copies what is in a run directory, whose last name is the machine's, and the report in `xchg`. False: there is no place.
bool keep_run(const std::string &run_directory, const std::string &xchg, const RunRecord &record);

// The same for one whose launcher was killed.
void keep_abandoned_run(const std::string &run_directory);

struct LastRun {
    std::string name;
    RunRecord record;
};
// The newest first.
std::vector<LastRun> last_runs();
base::Result<RunRecord> last_run(const std::string &name);

// The parts of the console that there are, oldest first.
base::Result<std::string> last_console(const std::string &name);
// The names of store paths that it used, and those of its closure, as the guest and the launcher left them; the second may be
// empty. Error: the guest did not tell (stage1.union.trace=paths).
struct TracedPaths {
    std::string used, closure;
};
base::Result<TracedPaths> last_paths(const std::string &name);
base::Result<TracedPaths> traced_paths(const std::string &run_directory, const std::string &xchg);

base::Result<std::string> last_report(const std::string &name);
// Where the console is, for a person; empty: nowhere.
std::string last_console_path(const std::string &name);

}  // namespace hostside
