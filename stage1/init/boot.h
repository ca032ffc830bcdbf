// Runs the phases of a boot step by step: reports each step, stops where a person asked for it, and handles a step that failed.
#pragma once

#include <string>
#include <vector>

#include "mounts/boot/plan.h"
#include "stage1/init/report.h"
#include "stage1/init/report_files.h"
#include "stage1/rescue/prompt.h"
#include "stage1/steps/run_step.h"

namespace stage1 {

class Boot {
  public:
    // `report` already has what was done before the plan existed.
    Boot(const mounts::PlanInput &input, const std::vector<mounts::Phase> &phases, Report &report, ReportFiles &files)
        : input_(input), phases_(phases), report_(report), report_files_(files) {}

    // Returns only if stage 2 did not start and the person at the console chose to continue.
    void run();

  private:
    void run_phase(const mounts::Phase &phase);
    void run_step(const mounts::Phase &phase, const mounts::Step &step);
    [[nodiscard]] base::Result<std::string> attempt(const mounts::Phase &phase, const mounts::Step &step);
    [[nodiscard]] bool breaks_before(const mounts::Step &step) const;
    void attend(const Scene &scene) const;
    void stop(const std::string &where, const mounts::Phase &phase, const mounts::Step *step);
    void obey(Answer answer);
    void write_report();
    [[nodiscard]] Scene scene(const mounts::Phase &phase, const mounts::Step *next) const;

    const mounts::PlanInput &input_;
    const std::vector<mounts::Phase> &phases_;
    Report &report_;
    ReportFiles &report_files_;
    FoundDevices devices_;
    bool one_step_ = false;  // the person asked to run one step and then stop again
};

}  // namespace stage1
