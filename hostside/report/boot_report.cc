#include "hostside/report/boot_report.h"

#include <algorithm>
#include <format>
#include <nlohmann/json.hpp>
#include <utility>

#include "hostside/base/bounded_json.h"
#include "hostside/base/printable.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using nlohmann::json;

constexpr size_t most_steps = 4096, longest_text = 1000;
constexpr int64_t longest_us = int64_t{1} << 50;  // 35 years

std::string text_of(const json &step, const char *key) {
    const auto found = step.find(key);
    if (found == step.end() || !found->is_string()) return {};
    std::string text = printable(found->get_ref<const std::string &>().substr(0, longest_text));
    return text;
}

// -1: missing or impossible.
int64_t time_of(const json &step, const char *key) {
    const auto found = step.find(key);
    if (found == step.end() || !found->is_number_integer()) return -1;
    if (found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(longest_us)) return -1;
    const auto us = found->get<int64_t>();
    return us < 0 || us > longest_us ? -1 : us;
}

void add_phases(BootReport &report) {
    if (report.steps.empty()) return;
    report.phases.push_back({"kernel", 0, report.steps.front().start_us});
    for (const auto &step : report.steps) {
        if (report.phases.back().name != step.phase || report.phases.size() == 1)
            report.phases.push_back({step.phase, step.start_us, step.end_us});
        report.phases.back().end_us = std::max(report.phases.back().end_us, step.end_us);
    }
}

bool is_hand_over(const ReportStep &step) {
    return !step.ended && step.error.empty() && step.phase == name(mounts::protocol::BootPhase::switch_root);
}

// The hand-over is stage 1's last step. systemd's times tell when stage 2 ended; the time before systemd belongs to the
// system's activation.
void add_stage2(BootReport &report) {
    const auto systemd = std::ranges::find(report.steps, stage2_phase, &ReportStep::phase);
    const auto hand_over = std::ranges::find_if(report.steps, is_hand_over);
    if (systemd == report.steps.end()) return;
    report.stage2_us = systemd->start_us;
    if (hand_over == report.steps.end() || hand_over > systemd) return;
    report.stage2_us = hand_over->end_us = hand_over->start_us;
    if (systemd->kind == "systemd")
        report.steps.insert(systemd, {.phase = std::string(stage2_phase),
                                      .kind = "activate",
                                      .text = "the system's activation, until systemd",
                                      .error = "",
                                      .start_us = hand_over->start_us,
                                      .end_us = systemd->start_us});
}

}  // namespace

base::Result<BootReport> boot_report(std::string_view text, const std::string &name) {
    constexpr std::string_view step = "read report";
    if (text.size() > report_limit_bytes)
        return fail(0, step, name, std::format("it is larger than {} bytes", report_limit_bytes));
    // Any root process in the guest may have written it.
    constexpr JsonLimits limits{.what = "a report", .bytes = report_limit_bytes, .keys = most_steps * 64, .depth = 16};
    if (auto good = check_json(text, name, limits); !good)
        return fail(0, step, name,
                    good.error().path.empty() ? "this is not a stage 1 report, which is JSON with a list 'steps'"
                                              : good.error().path + ": " + good.error().hint);
    const json all = json::parse(text);
    const auto steps = all.is_object() ? all.find("steps") : all.end();
    if (!all.is_object() || steps == all.end() || !steps->is_array())
        return fail(0, step, name, "this is not a stage 1 report, which is JSON with a list 'steps'");
    if (steps->size() > most_steps) return fail(0, step, name, std::format("it has more than {} steps", most_steps));
    BootReport report;
    for (const auto &one : *steps) {
        if (!one.is_object()) return fail(0, step, name, "one of its steps is not an object");
        ReportStep read{text_of(one, "phase"), text_of(one, "step"),     text_of(one, "text"),
                        text_of(one, "error"), time_of(one, "start_us"), time_of(one, "end_us")};
        if (read.start_us < 0) return fail(0, step, name, "one of its steps has no start time");
        read.ended = read.end_us >= read.start_us;
        read.cpu_ns = time_of(one, "cpu_ns");
        report.end_us = std::max({report.end_us, read.start_us, read.end_us});
        report.steps.push_back(std::move(read));
    }
    std::ranges::stable_sort(report.steps, {}, &ReportStep::start_us);
    for (auto &one : report.steps)
        if (!one.ended) one.end_us = report.end_us;
    add_stage2(report);
    add_phases(report);
    return report;
}

// The report is written when the last phase begins, so its step is always unfinished in it.
const ReportStep *BootReport::stuck() const {
    for (const auto &step : steps)
        if (!step.error.empty() || (!step.ended && step.phase != name(mounts::protocol::BootPhase::switch_root))) return &step;
    return nullptr;
}

std::string durations(const BootReport &report, const std::string &name) {
    if (report.steps.empty()) return name + ": there are no steps";
    const int64_t begin = report.steps.front().start_us;
    std::string text =
        std::format("{}: stage 1 took {}, the kernel {} before it", name, spent(report.stage1_end_us() - begin), spent(begin));
    if (report.stage2_us >= 0) text += std::format(", stage 2 {} after it", spent(report.end_us - report.stage2_us));
    return text;
}

std::string spent(int64_t us) {
    constexpr int64_t ms = 1000, second = 1'000'000;
    if (us >= second) return std::format("{}.{:03} s", us / second, us % second / ms);
    return std::format("{}.{} ms", us / ms, us % ms / 100);
}

std::vector<const ReportStep *> slowest(const BootReport &report, size_t most) {
    std::vector<const ReportStep *> steps;
    constexpr int64_t parts = 1000;
    for (const auto &step : report.steps)
        if (step.took_us() * parts >= report.end_us && step.took_us() > 0) steps.push_back(&step);
    std::ranges::stable_sort(steps, std::ranges::greater{}, &ReportStep::took_us);
    if (steps.size() > most) steps.resize(most);
    return steps;
}

}  // namespace hostside
