#include "stage1/commands/run_phase.h"

#include <format>
#include <print>

#include "mounts/base/log.h"
#include "stage1/base/tell_host.h"
#include "stage1/steps/run_step.h"

namespace stage1 {

base::Result<> run_aloud(const mounts::Phase &phase) {
    FoundDevices devices;
    mention_to_host(std::format("phase {}", phase.name()));
    for (const mounts::Step &step : phase.steps) {
        const auto done = run_step(step, devices);
        if (!done) return std::unexpected(done.error());
        if (!done->empty()) std::println("{}", *done);
    }
    return {};
}

int exit_code(const base::Result<> &result) {
    if (result) return 0;
    base::log(result.error());
    (void)tell_host("stage1-failed " + message(result.error()));  // may fail: without the port, runvm did not start this machine
    return 1;
}

}  // namespace stage1
