#include "hostside/cli/fleet_view.h"

#include <unistd.h>

#include <cstdio>
#include <format>
#include <string>
#include <utility>

#include "hostside/base/exists.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/client.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/table.h"

namespace hostside {

namespace {

// Ignores errors, because the fleet must go on even if standard output is a pipe without a reader.
void print(const std::string &text) {
    (void)std::fputs(text.c_str(), stdout);
    (void)std::fflush(stdout);
}

}  // namespace

FleetView::FleetView(bool may_draw) : terminal_(may_draw && ::isatty(STDOUT_FILENO) == 1) {}

void FleetView::changed(const MachineResult &machine) const {
    if (!terminal_) print(line_of(machine) + "\n");
}

void FleetView::tick(const FleetResult &result) {
    constexpr auto pause = std::chrono::milliseconds(250);
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || now < drawn_at_ + pause) return;
    drawn_at_ = now;
    draw(result);
}

void FleetView::last(const FleetResult &result) {
    if (terminal_) draw(result);
    print(summary_of(result) + "\n");
}

void FleetView::note(const std::string &text) {
    if (drawn_ > 0) print(std::format("\r\x1b[{}A\x1b[J", std::exchange(drawn_, 0)));
    say(text);
}

void FleetView::draw(const FleetResult &result) {
    const auto size = terminal_size(STDOUT_FILENO);
    const auto lines = table_of(result, size.rows > 2 ? size.rows - 1U : 1U, size.columns);
    std::string text = drawn_ > 0 ? std::format("\r\x1b[{}A", drawn_) : "";
    for (const auto &line : lines) text += line + "\x1b[K\n";
    print(text + "\x1b[J");
    drawn_ = lines.size();
}

void FleetView::tell_where(const std::string &directory, const FleetResult &result) {
    constexpr size_t most = 8;
    size_t told = 0;
    for (const auto &machine : result.machines) {
        if (machine.outcome != Outcome::failed || told == most) continue;
        ++told;
        std::string files;
        for (const char *file : {"output", "console.log"})
            if (const std::string path = directory + "/" + machine.name + "/" + file; exists(path))
                files += (files.empty() ? "" : ", ") + path;
        if (!files.empty()) say(std::format("{} failed: {}", machine.name, files));
    }
    say(std::format("results: {0}/{1}, {0}/{2}, output of each machine: {0}/NAME/output", directory, results_file, junit_file));
}

}  // namespace hostside
