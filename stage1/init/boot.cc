#include "stage1/init/boot.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/agent/agent.h"
#include "stage1/base/tell_host.h"
#include "stage1/init/crash.h"
#include "stage1/init/rescue.h"

namespace stage1 {

namespace {

using base::log;
using base::Priority;
using base::Result;
using mounts::protocol::BootPhase;

bool breaks_before_phase(const mounts::Phase &phase, const mounts::BootParameters &parameters) {
    return (parameters.stop_at_devices && phase.phase == BootPhase::devices) ||
           (parameters.stop_at_mounts && phase.phase == BootPhase::mounts) ||
           std::ranges::contains(parameters.break_before, phase.phase);
}

// An exception is a bug or exhausted memory. The step then counts as failed, and the person decides, as after any failure.
Result<std::string> run_guarded(const mounts::Step &step, FoundDevices &devices) {
    try {
        return run_step(step, devices);
    } catch (const std::exception &error) {
        return base::fail(0, kind(step), "", std::string("a bug in stage1, please report it: ") + error.what());
    }
}

// PID 1 inherits orphans of whatever a step started. Between steps, PID 1 waits for no child of its own.
void reap() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

bool mounts_xchg(const mounts::Step &step, const std::string &target_root) {
    const auto *mount = std::get_if<mounts::Mount>(&step);
    return mount != nullptr && mount->target == target_root + std::string(mounts::protocol::xchg_dir);
}

// Steps that may read a whole disk or a database. A wait for a device reports its progress itself.
bool may_last(std::string_view kind) {
    constexpr std::array<std::string_view, 5> all{"modules", "format", "fsck", "grow", "register"};
    return std::ranges::contains(all, kind);
}

std::string seconds(int64_t us) { return std::format("{}.{:03}", us / 1'000'000, us / 1000 % 1000); }

// Goes to the console even with `quiet`, because whoever asked for a trace is watching it.
void trace(std::string_view text) { (void)base::write_all(STDERR_FILENO, std::format("stage1: {}\n", text), "console"); }

}  // namespace

Scene Boot::scene(const mounts::Phase &phase, const mounts::Step *next) const {
    Scene scene{.plan = {}, .report = report_.json()};
    for (const auto &each : phases_) {
        scene.plan += std::format("{}{}:\n", &each == &phase && next == nullptr ? "> " : "  ", each.name());
        for (const auto &step : each.steps) scene.plan += std::format("{}  {}\n", &step == next ? "> " : "  ", describe(step));
    }
    return scene;
}

void Boot::obey(Answer answer) { one_step_ = answer == Answer::step; }

// Writes the report to the report files, and to the host if xchg is not mounted.
void Boot::write_report() {
    report_files_.write(report_.json());
    if (!report_files_.in_xchg()) send_report(report_.lines(report_line_bytes));
}

// Offers a terminal over the agent's port to a person who cannot or does not want to use the console.
void Boot::attend(const Scene &scene) const {
    if (input_.parameters.agent == mounts::AgentMode::off) return;
    start_early_agent([scene] { return shell_aside(scene); });
}

void Boot::stop(const std::string &where, const mounts::Phase &phase, const mounts::Step *step) {
    write_report();
    attend(scene(phase, step));
    obey(stop_at(where, input_.parameters, scene(phase, step)));
}

bool Boot::breaks_before(const mounts::Step &step) const {
    return std::ranges::any_of(input_.parameters.break_before_steps, [&](std::string_view wanted) {
        const size_t colon = wanted.find(':');
        return wanted.substr(0, colon) == kind(step) &&
               (colon == std::string_view::npos || describe(step).contains(wanted.substr(colon + 1)));
    });
}

Result<std::string> Boot::attempt(const mounts::Phase &phase, const mounts::Step &step) {
    const std::string text = describe(step);
    // Log before the step starts, so that the log shows where a boot hangs.
    log(Priority::debug, text);
    if (input_.parameters.trace) trace(text);
    report_.begin(std::string(phase.name()), std::string(kind(step)), text);
    if (phase.phase == BootPhase::switch_root) log(Priority::notice, report_.summary());
    report_files_.write(report_.json());
    note_step(text);
    if (may_last(kind(step))) mention_to_host("step " + text);
    auto done = run_guarded(step, devices_);
    reap();
    report_.end(done.value_or(""), done ? "" : message(done.error()));
    const StepRecord &record = report_.records().back();
    if (input_.parameters.trace)
        trace(std::format("{} s, after {} s: {}", seconds(record.end_us), seconds(record.end_us - record.start_us),
                          !done           ? "failed"
                          : done->empty() ? "done"
                                          : *done));
    if (done && mounts_xchg(step, input_.target_root)) report_files_.open_in_xchg(input_.target_root);
    return done;
}

void Boot::run_step(const mounts::Phase &phase, const mounts::Step &step) {
    for (;;) {
        const auto done = attempt(phase, step);
        if (done) {
            if (!done->empty()) log(Priority::info, *done);
            return;
        }
        write_report();
        Scene failed = scene(phase, &step);
        failed.has_failed = true;
        attend(failed);
        const Answer answer = fail_boot(done.error(), input_.parameters, failed);
        obey(answer);
        if (answer != Answer::retry) return;
        devices_.clear();  // look for the devices again
    }
}

void Boot::run_phase(const mounts::Phase &phase) {
    const bool stops = breaks_before_phase(phase, input_.parameters);
    if (stops) stop(std::string(phase.name()), phase, nullptr);
    mention_to_host(std::format("phase {}", phase.name()));
    if (!report_files_.in_xchg()) send_report(report_.lines(report_line_bytes));
    for (const mounts::Step &step : phase.steps) {
        if (input_.parameters.agent == mounts::AgentMode::early && phase.phase != BootPhase::modules) attend(scene(phase, &step));
        const bool stopped = stops && &step == phase.steps.data();
        if (!stopped && (one_step_ || breaks_before(step))) stop(describe(step), phase, &step);
        run_step(phase, step);
    }
}

void Boot::run() {
    if (input_.parameters.stop_at_start) stop("the first step", phases_.front(), nullptr);
    for (const mounts::Phase &phase : phases_) run_phase(phase);
}

}  // namespace stage1
