#include "hostside/fleet/table.h"

#include <algorithm>
#include <array>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/host/run_record.h"

namespace hostside {

namespace {

std::string time_of(double seconds) { return duration(static_cast<int64_t>(seconds)); }

std::string row_of(const MachineResult &m, size_t width) {
    const std::string what = m.outcome == Outcome::running ? m.state.empty() ? "starts" : m.state : m.cause;
    return std::format("{:<{}}  {:<9}  {:>6}  {}", m.name, width, name(m.outcome), time_of(m.seconds), printable(what));
}

std::string counts_of(const FleetResult &result) {
    std::string text;
    for (const Outcome outcome :
         {Outcome::passed, Outcome::failed, Outcome::cancelled, Outcome::running, Outcome::waiting, Outcome::not_run})
        if (const size_t count = result.count(outcome); count > 0 || outcome == Outcome::passed)
            text += std::format("{}{} {}", text.empty() ? "" : ", ", count, name(outcome));
    return text;
}

// Cuts at a whole character. Counts every character as one column, because zero-width ones are rare here.
std::string cut(std::string text, size_t columns) {
    size_t seen = 0;
    for (size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80 && seen++ == columns) {
            text.resize(i);
            break;
        }
    return text;
}

}  // namespace

std::vector<std::string> table_of(const FleetResult &result, size_t rows, size_t columns) {
    size_t width = 4;
    for (const auto &m : result.machines) width = std::max(width, m.name.size());
    std::vector<std::string> lines;
    size_t hidden = 0;
    for (const Outcome shown : {Outcome::running, Outcome::failed})
        for (const auto &m : result.machines) {
            if (m.outcome != shown) continue;
            if (lines.size() + 2 < rows)
                lines.push_back(cut(row_of(m, width), columns));
            else
                ++hidden;
        }
    if (hidden > 0) lines.push_back(cut(std::format("... and {} more", hidden), columns));
    lines.push_back(cut(std::format("{}: {}; {}", printable(result.name), counts_of(result), time_of(result.seconds)), columns));
    return lines;
}

std::string summary_of(const FleetResult &result) {
    constexpr size_t most_names = 8;
    std::string failed;
    size_t named = 0;
    for (const auto &m : result.machines) {
        if (m.outcome != Outcome::failed || named == most_names) continue;
        failed += (failed.empty() ? "" : ", ") + m.name;
        ++named;
    }
    if (result.count(Outcome::failed) > named) failed += ", ...";
    return std::format("{} in {}{}", counts_of(result), time_of(result.seconds), failed.empty() ? "" : "; failed: " + failed);
}

std::string line_of(const MachineResult &m) {
    if (m.outcome == Outcome::running) return std::format("{}: runs", m.name);
    const std::string exit = m.outcome == Outcome::failed && m.exit_code >= 0 ? std::format(", exit {}", m.exit_code) : "";
    return std::format("{}: {}{}, after {}{}{}", m.name, name(m.outcome), exit, time_of(m.seconds), m.cause.empty() ? "" : ": ",
                       printable(m.cause));
}

}  // namespace hostside
