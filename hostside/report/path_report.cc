#include "hostside/report/path_report.h"

#include <algorithm>
#include <format>
#include <iterator>
#include <ranges>
#include <set>

#include "mounts/base/json_text.h"
#include "mounts/nix/registration.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

std::set<std::string> paths_of(std::string_view lines) {
    constexpr size_t most_paths = 200'000;
    std::set<std::string> paths;
    for (const auto part : std::views::split(lines, '\n')) {
        std::string path = std::format("{}/{}", mounts::protocol::store_dir, std::string_view(part));
        if (mounts::store_path_fault(path).empty()) paths.insert(std::move(path));
        if (paths.size() >= most_paths) break;
    }
    return paths;
}

void add_list(std::string &text, std::string_view title, const std::vector<std::string> &paths) {
    if (paths.empty()) return;
    text += std::format("{} ({}):\n", title, paths.size());
    for (const auto &path : paths) text += std::format("  {}\n", path);
}

std::string json_list(const std::vector<std::string> &paths) {
    std::string text;
    for (const auto &path : paths) text += (text.empty() ? "" : ", ") + base::json_text(path);
    return "[" + text + "]";
}

}  // namespace

PathReport path_report(std::string_view used, std::string_view closure) {
    const auto there = paths_of(used), known = paths_of(closure);
    PathReport report{{there.begin(), there.end()}, {}, {}, !known.empty()};
    std::ranges::set_difference(known, there, std::back_inserter(report.unused));
    if (report.closure_known) std::ranges::set_difference(there, known, std::back_inserter(report.unregistered));
    return report;
}

std::string as_text(const PathReport &report, std::string_view name) {
    std::string text = std::format("{}: {} store path{} used", name, report.used.size(), report.used.size() == 1 ? "" : "s");
    if (report.closure_known)
        text +=
            std::format(", {} in its closure unused, {} not in its closure", report.unused.size(), report.unregistered.size());
    else
        text += "; its closure is unknown, because the machine had no registration";
    text += "\n";
    add_list(text, "used", report.used);
    add_list(text, "unused", report.unused);
    add_list(text, "unregistered", report.unregistered);
    return text;
}

std::string as_json(const PathReport &report) {
    std::string text = "{\"used\": " + json_list(report.used);
    if (report.closure_known)
        text += ", \"unused\": " + json_list(report.unused) + ", \"unregistered\": " + json_list(report.unregistered);
    return text + "}\n";
}

}  // namespace hostside
