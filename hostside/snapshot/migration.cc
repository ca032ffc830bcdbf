#include "hostside/snapshot/migration.h"

#include <chrono>
#include <format>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace hostside {

namespace {

using base::fail;
using base::Result;
using nlohmann::json;

constexpr auto pause = std::chrono::milliseconds(2);
constexpr auto patience = std::chrono::seconds(120);
constexpr std::string_view state_name = R"({"fdname":"state"})", state_address = R"({"uri":"fd:state"})";

// QEMU wrote it and the line was checked; empty if missing.
std::string member(const std::string &text, const char *key) {
    const auto value = json::parse(text, nullptr, false);
    return value.is_object() && value.contains(key) && value[key].is_string() ? value[key].get<std::string>() : "";
}

// By now QEMU knows which of the guest's devices cannot be saved.
Result<> nothing_blocks(Monitor &monitor) {
    auto answer = monitor.execute("query-migrate");
    if (!answer) return std::unexpected(answer.error());
    const auto state = json::parse(*answer, nullptr, false);
    const auto reasons = state.is_object() ? state.value("blocked-reasons", json::array()) : json::array();
    if (!reasons.is_array() || reasons.empty() || !reasons[0].is_string()) return {};
    return fail(0, "save the machine", "", reasons[0].get<std::string>());
}

Result<> prepare_migration(Monitor &monitor, int file) {
    constexpr std::string_view capability = R"({"capabilities":[{"capability":"x-ignore-shared","state":true}]})";
    if (auto set = monitor.execute("migrate-set-capabilities", capability); !set) return std::unexpected(set.error());
    auto given = monitor.execute("getfd", state_name, file);
    return given ? Result<>() : std::unexpected(given.error());
}

// Waits until QEMU reports that the migration is complete.
Result<> wait_until_completed(Monitor &monitor, std::string_view step) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(pause)) {
        auto answer = monitor.execute("query-migrate");
        if (!answer) return std::unexpected(answer.error());
        const std::string status = member(*answer, "status");
        if (status == "completed") return {};
        if (status == "failed" || status == "cancelled") return fail(0, step, "", member(*answer, "error-desc"));
    }
    return fail(0, step, "", std::format("QEMU did not finish within {} s", patience.count()));
}

}  // namespace

Result<> save_state(Monitor &monitor, int file) {
    if (auto free = nothing_blocks(monitor); !free) return free;
    if (auto stopped = monitor.execute("stop"); !stopped) return std::unexpected(stopped.error());
    if (auto ready = prepare_migration(monitor, file); !ready) return ready;
    if (auto begun = monitor.execute("migrate", state_address); !begun) return std::unexpected(begun.error());
    return wait_until_completed(monitor, "save the machine");
}

Result<> load_state(Monitor &monitor, int file) {
    if (auto ready = prepare_migration(monitor, file); !ready) return ready;
    if (auto begun = monitor.execute("migrate-incoming", state_address); !begun) return std::unexpected(begun.error());
    return wait_until_completed(monitor, "restore the machine");
}

Result<> let_run(Monitor &monitor) {
    auto goes_on = monitor.execute("cont");
    return goes_on ? Result<>() : std::unexpected(goes_on.error());
}

}  // namespace hostside
