// What the launcher records about a run: in the run directory during the run, and among the last runs after it (last_run.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

struct RunRecord {
    int64_t started_s = 0, ended_s = 0;  // seconds since 1970; 0: unknown, or not yet
    int memory_mib = 0;
    std::string ports;   // `2222->22`, separated by commas; empty: none
    std::string state;   // how far the boot came: `kernel`, `stage 1: mounts`, `stage 2`, `ready`
    int exit_code = -1;  // runvm's exit code; -1: it still runs, or its launcher was killed
    std::string cause;   // why it ended, in one line; empty: success
};

// One key and its value per line. Pure. Some values come from a guest; they are made printable when read.
std::string text_of(const RunRecord &record);
RunRecord record_from(std::string_view text);

// The record in a run directory. If it can't be written, `runvm status` shows less, but the run goes on.
void note_run(const std::string &run_directory, const RunRecord &record);
base::Result<RunRecord> noted_run(const std::string &run_directory);

// For a run that is over: `ended`, `failed`, `stopped` (a signal ended the launcher, as with `runvm stop --now` or ctrl-c) or
// `cut off` (the launcher was killed).
std::string_view outcome(const RunRecord &record);

// For a run that is over: `failed 20 s ago, exit 120: stage 1 …`, `ended 3 min ago`.
std::string how_it_ended(const RunRecord &record, int64_t now_s);

// `20 s`, `3 min`, `5 h`, `12 d`.
std::string duration(int64_t seconds);

}  // namespace hostside
