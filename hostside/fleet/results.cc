#include "hostside/fleet/results.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/description/parse.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/regular_file.h"

namespace hostside {

namespace {

using base::fail;

// In the order of the enumeration.
constexpr std::array<std::string_view, 6> outcome_names{"waiting", "running", "passed", "failed", "cancelled", "not run"};

const char *whole(const FleetResult &result) {
    if (!result.over) return "running";
    return result.count(Outcome::passed) == result.machines.size() ? "passed" : "failed";
}

std::string machine_json(const MachineResult &m) {
    std::string text = std::format(R"({{"name":{},"outcome":{},"seconds":{:.3f},"memory_mib":{},"cores":{})",
                                   base::json_text(m.name), base::json_text(name(m.outcome)), m.seconds, m.memory_mib, m.cores);
    if (m.exit_code >= 0) text += std::format(R"(,"exit":{})", m.exit_code);
    if (!m.state.empty()) text += std::format(R"(,"state":{})", base::json_text(m.state));
    if (!m.cause.empty()) text += std::format(R"(,"cause":{})", base::json_text(m.cause));
    return text + "}";
}

template <class Value>
Value value_of(const Json &object, const char *key, Value otherwise) {
    const auto at = object.find(key);
    if (at == object.end()) return otherwise;
    if constexpr (std::is_same_v<Value, std::string>)
        return at->is_string() ? printable(at->get_ref<const std::string &>()) : otherwise;
    else if constexpr (std::is_integral_v<Value>)
        return at->is_number_integer() ? static_cast<Value>(at->get<int64_t>()) : otherwise;
    else
        return at->is_number() ? at->get<Value>() : otherwise;
}

// Replaces characters that XML 1.0 cannot express, even escaped, with '?'.
std::string xml_text(std::string_view text, bool lines) {
    std::string result;
    for (const char c : lines ? printable_lines(text) : printable(text)) switch (c) {
        case '&': result += "&amp;"; break;
        case '<': result += "&lt;"; break;
        case '>': result += "&gt;"; break;
        case '"': result += "&quot;"; break;
        default: result += c;
        }
    for (const std::string_view none : {"\xef\xbf\xbe", "\xef\xbf\xbf"})
        for (size_t at = 0; (at = result.find(none, at)) != std::string::npos;) result.replace(at, none.size(), "?");
    return result;
}

// The guest's own status is a failure; a status of the launcher is an error.
bool is_error(const MachineResult &m) {
    constexpr int first_of_ours = 120;  // exit_code.h
    return m.outcome == Outcome::failed && (m.exit_code >= first_of_ours || m.exit_code < 0);
}

std::string testcase(const std::string &fleet, const MachineResult &m, const std::string &said) {
    std::string text = std::format("    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3f}\">\n", xml_text(m.name, false),
                                   xml_text(fleet, false), m.seconds);
    if (m.outcome == Outcome::failed) {
        const char *element = is_error(m) ? "error" : "failure";
        text += std::format("      <{0} message=\"{1}\" type=\"exit {2}\">{1}{3}</{0}>\n", element, xml_text(m.cause, false),
                            m.exit_code, m.state.empty() ? "" : xml_text("\nit had reached: " + m.state, true));
    } else if (m.outcome != Outcome::passed) {
        text += std::format("      <skipped>{}</skipped>\n", name(m.outcome));
    }
    if (!said.empty()) text += std::format("      <system-out>{}</system-out>\n", xml_text(said, true));
    return text + "    </testcase>\n";
}

}  // namespace

std::string_view name(Outcome outcome) { return outcome_names[static_cast<size_t>(outcome)]; }

size_t FleetResult::count(Outcome outcome) const {
    return static_cast<size_t>(std::ranges::count(machines, outcome, &MachineResult::outcome));
}

std::string results_json(const FleetResult &r) {
    std::string text = std::format("{{\"fleet\":{},\"outcome\":\"{}\",\"started\":{},\"seconds\":{:.3f},\n \"machines\":[",
                                   base::json_text(r.name), whole(r), r.started_s, r.seconds);
    for (size_t i = 0; i < r.machines.size(); ++i) text += (i == 0 ? "\n  " : ",\n  ") + machine_json(r.machines[i]);
    return text + "]}\n";
}

base::Result<FleetResult> results_in(const std::string &path) {
    auto file = base::open_regular(AT_FDCWD, path, O_RDONLY);
    if (!file) return fail(file.error().code, "read", path, file.error().hint);
    auto text = base::read_all(file->get(), path, of_a_fleet.bytes);
    if (!text) return std::unexpected(text.error());
    return results_from(*text, path);
}

base::Result<FleetResult> results_from(std::string_view text, const std::string &origin) {
    auto json = parse(text, origin, of_a_fleet);
    if (!json) return std::unexpected(json.error());
    if (!json->is_object() || !json->contains("machines") || !(*json)["machines"].is_array())
        return fail(0, origin, "/machines", "not the results.json of a fleet");
    FleetResult result{.name = value_of<std::string>(*json, "fleet", ""),
                       .started_s = value_of<int64_t>(*json, "started", 0),
                       .seconds = value_of<double>(*json, "seconds", 0),
                       .over = value_of<std::string>(*json, "outcome", "running") != "running",
                       .machines = {}};
    for (const auto &m : (*json)["machines"]) {
        if (!m.is_object()) return fail(0, origin, "/machines", "must be a list of objects");
        const auto outcome = std::ranges::find(outcome_names, value_of<std::string>(m, "outcome", ""));
        if (outcome == outcome_names.end()) return fail(0, origin, "/machines", "a machine without an outcome");
        result.machines.push_back({.name = value_of<std::string>(m, "name", ""),
                                   .outcome = static_cast<Outcome>(outcome - outcome_names.begin()),
                                   .exit_code = value_of(m, "exit", -1),
                                   .cause = value_of<std::string>(m, "cause", ""),
                                   .state = value_of<std::string>(m, "state", ""),
                                   .seconds = value_of<double>(m, "seconds", 0),
                                   .memory_mib = value_of(m, "memory_mib", 0),
                                   .cores = value_of(m, "cores", 0)});
    }
    return result;
}

std::string junit_xml(const FleetResult &r, const std::function<std::string(const std::string &name)> &said) {
    const auto errors = static_cast<size_t>(std::ranges::count_if(r.machines, is_error));
    const size_t failures = r.count(Outcome::failed) - errors;
    const size_t skipped = r.machines.size() - r.count(Outcome::failed) - r.count(Outcome::passed);
    const std::string sums = std::format("name=\"{}\" time=\"{:.3f}\" tests=\"{}\" failures=\"{}\" errors=\"{}\"",
                                         xml_text(r.name, false), r.seconds, r.machines.size(), failures, errors);
    std::string text = std::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite {0} skipped=\"{1}\">\n", sums, skipped);
    for (const auto &m : r.machines) text += testcase(r.name, m, m.outcome == Outcome::not_run ? "" : said(m.name));
    return text + "  </testsuite>\n</testsuites>\n";
}

}  // namespace hostside
