#include "stage1/init/report.h"

#include <sys/resource.h>

#include <ctime>
#include <format>

#include "mounts/base/json_text.h"

namespace stage1 {

int64_t boot_time_us() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

namespace {

int64_t ns_of(int64_t seconds, int64_t ns) { return seconds * 1'000'000'000 + ns; }

int64_t cpu_time_ns() {
    timespec own{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    rusage children{};
    (void)::getrusage(RUSAGE_CHILDREN, &children);
    const auto of = [](const timeval &t) { return ns_of(t.tv_sec, int64_t{t.tv_usec} * 1000); };
    return ns_of(own.tv_sec, own.tv_nsec) + of(children.ru_utime) + of(children.ru_stime);
}

std::string json_of(const StepRecord &r) {
    std::string text = "{\"phase\": " + base::json_text(r.phase);
    const auto field = [&](std::string_view name, std::string_view value) {
        ((text += ", \"") += name) += "\": ";
        text += value;
    };
    field("step", base::json_text(r.step));
    field("text", base::json_text(r.text));
    field("start_us", std::to_string(r.start_us));
    if (r.end_us != 0) field("end_us", std::to_string(r.end_us));
    if (r.end_us != 0) field("cpu_ns", std::to_string(r.cpu_ns));
    if (!r.error.empty()) field("error", base::json_text(r.error));
    return text += '}';
}

// Truncates text without splitting a UTF-8 character. One byte may become six bytes of JSON.
void cut(std::string &text) {
    constexpr size_t enough_bytes = 256;
    if (text.size() <= enough_bytes) return;
    size_t end = enough_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
}

}  // namespace

void Report::begin(std::string phase, std::string step, std::string text) {
    records_.push_back({std::move(phase), std::move(step), std::move(text), boot_time_us()});
    cpu_at_begin_ns_ = cpu_time_ns();
}

void Report::end(std::string result, std::string error) {
    StepRecord &record = records_.back();
    record.end_us = boot_time_us();
    record.cpu_ns = cpu_time_ns() - cpu_at_begin_ns_;
    if (!result.empty()) record.text = std::move(result);
    record.error = std::move(error);
    ended_text_ += (ended_text_.empty() ? "\n " : ",\n ") + json_of(record);
}

std::string Report::json() const {
    std::string text = "{\"version\": 1, \"steps\": [" + ended_text_;
    if (!records_.empty() && records_.back().end_us == 0)
        text += (ended_text_.empty() ? "\n " : ",\n ") + json_of(records_.back());
    return text += "\n]}\n";
}

std::vector<std::string> Report::lines(size_t limit_bytes) const {
    std::vector<std::string> all;
    for (StepRecord record : records_) {
        all.push_back(json_of(record));
        if (all.back().size() <= limit_bytes) continue;
        for (std::string *words : {&record.text, &record.error}) cut(*words);
        all.back() = json_of(record);
    }
    return all;
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
