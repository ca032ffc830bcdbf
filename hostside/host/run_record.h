// What the launcher notes of a run: in its run directory while it lasts, among the last runs after it (last_run.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

struct RunRecord {
    int64_t started_s = 0, ended_s = 0;  // since 1970; 0: not known, not yet
    int memory_mib = 0;
    std::string ports;   // `2222->22`, with commas; empty: none
    std::string state;   // how far it came: `kernel`, `stage 1: mounts`, `stage 2`, `ready`
    int exit_code = -1;  // of runvm; -1: it has not ended, or its launcher was killed
    std::string cause;   // why it ended so, in one line; empty: in order
};

// A word and its value a line. Pure; what is read was a guest's in part, and comes out printable.
std::string text_of(const RunRecord &record);
RunRecord record_from(std::string_view text);

// The record of a run directory. One that can't be written costs `runvm status` its words, not the run.
void note_run(const std::string &run_directory, const RunRecord &record);
base::Result<RunRecord> noted_run(const std::string &run_directory);

// `failed 20 s ago, exit 120: stage 1 …`, `ended 3 min ago`; for a run that is over.
std::string how_it_ended(const RunRecord &record, int64_t now_s);

// `20 s`, `3 min`, `5 h`, `12 d`.
std::string duration(int64_t seconds);

}  // namespace hostside
