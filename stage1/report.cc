#include "stage1/report.h"

#include <ctime>
#include <format>
#include <nlohmann/json.hpp>

namespace stage1 {

int64_t boot_time_us() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

void Report::begin(std::string phase, std::string step, std::string text) {
    records_.push_back({std::move(phase), std::move(step), std::move(text), boot_time_us(), 0, {}});
}

void Report::end(std::string result, std::string error) {
    StepRecord &record = records_.back();
    record.end_us = boot_time_us();
    if (!result.empty()) record.text = std::move(result);
    record.error = std::move(error);
}

std::string Report::json() const {
    auto steps = nlohmann::json::array();
    for (const StepRecord &r : records_) {
        nlohmann::json step{{"phase", r.phase}, {"step", r.step}, {"text", r.text}, {"start_us", r.start_us}};
        if (r.end_us != 0) step["end_us"] = r.end_us;
        if (!r.error.empty()) step["error"] = r.error;
        steps.push_back(std::move(step));
    }
    // Text that is not UTF-8 (a path, a label) must not cost the whole report.
    return nlohmann::json{{"version", 1}, {"steps", std::move(steps)}}.dump(1, ' ', false,
                                                                            nlohmann::json::error_handler_t::replace) +
           "\n";
}

std::string Report::summary() const {
    std::string text;
    for (size_t i = 0; i < records_.size();) {
        const std::string &phase = records_[i].phase;
        const int64_t start = records_[i].start_us;
        int64_t end = start;
        for (; i < records_.size() && records_[i].phase == phase; ++i) end = std::max(end, records_[i].end_us);
        text += std::format("{}{} {}.{} ms", text.empty() ? "" : ", ", phase, (end - start) / 1000, (end - start) % 1000 / 100);
    }
    return text;
}

}  // namespace stage1
