#include "hostside/report/report_text.h"

#include <algorithm>
#include <cstdlib>
#include <format>
#include <map>

#include "mounts/base/json_text.h"

namespace hostside {

namespace {

constexpr size_t most_listed = 8;

std::string cut(std::string text, size_t columns) {
    if (text.size() > columns) text.resize(columns);
    return text;
}

// Draws a phase on a line of `width` columns for the whole time; at least one column wide.
std::string bar(const ReportPhase &phase, int64_t whole_us, size_t width) {
    const auto column = [&](int64_t us) {
        return static_cast<size_t>(static_cast<double>(us) / static_cast<double>(std::max<int64_t>(whole_us, 1)) *
                                   static_cast<double>(width));
    };
    const size_t from = std::min(column(phase.start_us), width - 1), to = std::max(column(phase.end_us), from + 1);
    return std::string(from, ' ') + std::string(std::min(to, width) - from, '#') + std::string(width - std::min(to, width), ' ');
}

std::string failure(const BootReport &report) {
    const ReportStep *step = report.stuck();
    if (step == nullptr) return "";
    if (step->error.empty()) return std::format("\nnever ended, in {}: {}\n", step->phase, step->text);
    return std::format("\nfailed after {}, in {}: {}\n  {}\n", spent(step->took_us()), step->phase, step->text, step->error);
}

// Keys are the n-th step of a kind in its phase, because texts contain numbers that differ between boots.
std::map<std::string, const ReportStep *> by_place(const BootReport &report) {
    std::map<std::string, int> counts;
    std::map<std::string, const ReportStep *> steps;
    for (const auto &step : report.steps) {
        const std::string kind = step.phase + "/" + step.kind;
        steps[std::format("{}/{}", kind, ++counts[kind])] = &step;
    }
    return steps;
}

struct Difference {
    std::string what;
    int64_t a_us = 0, b_us = 0;
    [[nodiscard]] int64_t more_us() const { return b_us - a_us; }
};

std::string row(const Difference &d) {
    const std::string more = (d.more_us() < 0 ? "-" : "+") + spent(std::abs(d.more_us()));
    return std::format("{:>11} {:>11} {:>12}  {}\n", spent(d.a_us), spent(d.b_us), more, d.what);
}

std::vector<Difference> step_differences(const BootReport &a, const BootReport &b) {
    std::vector<Difference> all;
    const auto of_a = by_place(a), of_b = by_place(b);
    for (const auto &[place, step] : of_a) {
        const auto other = of_b.find(place);
        if (other == of_b.end())
            all.push_back({step->phase + ": " + step->text + " (only in A)", step->took_us(), 0});
        else
            all.push_back({step->phase + ": " + other->second->text, step->took_us(), other->second->took_us()});
    }
    for (const auto &[place, step] : of_b)
        if (!of_a.contains(place)) all.push_back({step->phase + ": " + step->text + " (only in B)", 0, step->took_us()});
    std::ranges::stable_sort(all, std::ranges::greater{}, [](const Difference &d) { return std::abs(d.more_us()); });
    return all;
}

}  // namespace

std::string as_text(const BootReport &report, const std::string &name, size_t columns) {
    constexpr size_t names = 13, times = 11, least = 20;
    const size_t width = std::max(columns, names + times + least) - names - times;
    std::string text = durations(report, name) + "\n";
    for (const auto &phase : report.phases)
        text += std::format("{:<{}}{}{:>{}}\n", cut(phase.name, names - 1), names, bar(phase, report.end_us, width),
                            spent(phase.took_us()), times);
    const auto list = [&](std::string_view title, const std::vector<const ReportStep *> &steps) {
        if (!steps.empty()) text += std::format("\n{}\n", title);
        for (const auto *step : steps)
            text +=
                cut(std::format("{:>11}  {:<12} {}", spent(step->took_us()), cut(step->phase, 12), step->text), columns) + "\n";
    };
    list("slowest steps", slowest(report, most_listed));
    std::vector<const ReportStep *> waits;
    for (const auto &step : report.steps)
        if (step.kind == "wait" && waits.size() < most_listed) waits.push_back(&step);
    list("waited for", waits);
    return text + failure(report);
}

std::string as_json(const BootReport &report) {
    std::string text = std::format("{{\"end_us\": {}, \"phases\": [", report.end_us);
    for (const auto &phase : report.phases)
        text += std::format("{}\n {{\"name\": {}, \"start_us\": {}, \"end_us\": {}}}", &phase == report.phases.data() ? "" : ",",
                            base::json_text(phase.name), phase.start_us, phase.end_us);
    text += "\n], \"steps\": [";
    for (const auto &step : report.steps) {
        text += std::format("{}\n {{\"phase\": {}, \"step\": {}, \"text\": {}, \"start_us\": {}",
                            &step == report.steps.data() ? "" : ",", base::json_text(step.phase), base::json_text(step.kind),
                            base::json_text(step.text), step.start_us);
        if (step.ended) text += std::format(", \"end_us\": {}", step.end_us);
        if (step.cpu_ns >= 0) text += std::format(", \"cpu_ns\": {}", step.cpu_ns);
        if (!step.error.empty()) text += ", \"error\": " + base::json_text(step.error);
        text += "}";
    }
    return text + "\n]}\n";
}

int64_t processor_ns(const BootReport &report) {
    int64_t sum = 0;
    for (const auto &step : report.steps) {
        if (step.phase == stage2_phase) continue;
        if (step.cpu_ns < 0 && step.ended) return -1;
        sum += std::max<int64_t>(step.cpu_ns, 0);
    }
    return report.steps.empty() ? -1 : sum;
}

void keep_phases(BootReport &report, const std::vector<std::string> &names) {
    std::erase_if(report.steps, [&](const ReportStep &step) { return !std::ranges::contains(names, step.phase); });
}

std::string processor_comparison(const BootReport &a, const BootReport &b, std::string_view sum) {
    const auto row_of = [](int64_t in_a, int64_t in_b, std::string_view what) {
        return std::format("{:>12} {:>12} {:>+12}  {}\n", in_a, in_b, in_b - in_a, what);
    };
    std::string text = std::format("{:>12} {:>12} {:>12}  nanoseconds of processor time\n", "A", "B", "difference");
    const auto of_a = by_place(a), of_b = by_place(b);
    std::map<std::string, const ReportStep *> all = of_a;
    all.insert(of_b.begin(), of_b.end());
    const auto in = [](const auto &steps, const std::string &place) {
        const auto found = steps.find(place);
        return found == steps.end() ? 0 : std::max<int64_t>(found->second->cpu_ns, 0);
    };
    std::vector<std::pair<std::string, std::string>> rows;
    for (const auto &[place, step] : all) rows.emplace_back(place, step->phase + ": " + step->text);
    std::ranges::stable_sort(rows, std::ranges::greater{},
                             [&](const auto &row) { return std::abs(in(of_b, row.first) - in(of_a, row.first)); });
    for (size_t i = 0; i < std::min(rows.size(), most_listed); ++i)
        text += row_of(in(of_a, rows[i].first), in(of_b, rows[i].first), rows[i].second);
    return text + row_of(processor_ns(a), processor_ns(b), sum);
}

namespace {

// Stage 2 counts only if both reports have it.
int64_t end_of(const BootReport &report, const BootReport &other) {
    return other.stage2_us < 0 ? report.stage1_end_us() : report.end_us;
}

}  // namespace

double slower_percent(const BootReport &a, const BootReport &b) {
    const int64_t of_a = end_of(a, b), of_b = end_of(b, a);
    return 100.0 * static_cast<double>(of_b - of_a) / static_cast<double>(std::max<int64_t>(of_a, 1));
}

std::string comparison(const BootReport &a, const BootReport &b) {
    std::string text = std::format("{:>11} {:>11} {:>12}\n", "A", "B", "difference");
    std::vector<Difference> phases;
    for (const auto *report : {&a, &b})
        for (const auto &phase : report->phases) {
            auto found = std::ranges::find(phases, phase.name, &Difference::what);
            if (found == phases.end()) found = phases.insert(phases.end(), {phase.name, 0, 0});
            (report == &a ? found->a_us : found->b_us) += phase.took_us();
        }
    for (const auto &phase : phases) text += row(phase);
    text += row({"all", end_of(a, b), end_of(b, a)});
    text += "\nsteps\n";
    size_t listed = 0;
    for (const auto &step : step_differences(a, b))
        if (step.more_us() != 0 && listed++ < most_listed) text += row(step);
    return text;
}

}  // namespace hostside
