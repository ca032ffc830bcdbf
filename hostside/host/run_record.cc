#include "hostside/host/run_record.h"

#include <charconv>
#include <format>
#include <vector>

#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

constexpr size_t limit_bytes = size_t{64} << 10;

template <class Number>
void read_number(std::string_view text, Number &number) {
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
}

}  // namespace

std::string text_of(const RunRecord &r) {
    std::string text =
        std::format("started {}\nended {}\nmemory {}\nexit {}\n", r.started_s, r.ended_s, r.memory_mib, r.exit_code);
    for (const auto &[word, value] : {std::pair{"ports", r.ports}, {"state", r.state}, {"cause", r.cause}})
        if (!value.empty()) text += std::format("{} {}\n", word, printable(value));
    return text;
}

RunRecord record_from(std::string_view text) {
    RunRecord record;
    for (const auto &line : LineReader(limit_bytes).take(text)) {
        const size_t blank = line.find(' ');
        if (blank == std::string::npos) continue;
        const std::string_view word = std::string_view(line).substr(0, blank), value = std::string_view(line).substr(blank + 1);
        if (word == "started") read_number(value, record.started_s);
        if (word == "ended") read_number(value, record.ended_s);
        if (word == "memory") read_number(value, record.memory_mib);
        if (word == "exit") read_number(value, record.exit_code);
        if (word == "ports") record.ports = printable(value);
        if (word == "state") record.state = printable(value);
        if (word == "cause") record.cause = printable(value);
    }
    return record;
}

void note_run(const std::string &run_directory, const RunRecord &record) {
    const std::string path = run_directory + "/" + std::string(run_record), fresh = path + ".new";
    auto file = base::open_at(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (file && base::write_all(file->get(), text_of(record), fresh)) (void)::rename(fresh.c_str(), path.c_str());
}

base::Result<RunRecord> noted_run(const std::string &run_directory) {
    auto text = base::read_file(run_directory + "/" + std::string(run_record), limit_bytes);
    if (!text) return std::unexpected(text.error());
    return record_from(*text);
}

std::string duration(int64_t seconds) {
    constexpr int64_t minute = 60, hour = 3600, day = 86400;
    if (seconds < 0) return "0 s";
    if (seconds < 2 * minute) return std::format("{} s", seconds);
    if (seconds < 2 * hour) return std::format("{} min", seconds / minute);
    if (seconds < 2 * day) return std::format("{} h", seconds / hour);
    return std::format("{} d", seconds / day);
}

std::string_view outcome(const RunRecord &r) {
    constexpr int by_signal = 128;  // as a shell's status
    if (r.exit_code < 0) return "cut off";
    if (r.exit_code == 0) return "ended";
    return r.exit_code > by_signal ? "stopped" : "failed";
}

std::string how_it_ended(const RunRecord &r, int64_t now_s) {
    const std::string ago = r.ended_s == 0 ? "" : " " + duration(now_s - r.ended_s) + " ago";
    if (r.exit_code == 0) return std::format("{}{}", outcome(r), ago);
    if (r.exit_code < 0) return std::format("{}{}: {}", outcome(r), ago, r.cause);
    return std::format("{}{}, exit {}: {}", outcome(r), ago, r.exit_code, r.cause);
}

}  // namespace hostside
