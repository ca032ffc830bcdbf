#include "hostside/cli/reporter.h"

#include <cstdio>
#include <format>

#include "hostside/base/printable.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

std::string sentence(std::string_view event, std::string_view detail) {
    if (event == "ready") return "ready";
    if (event == "guest-exit") return detail == "0" ? "" : std::format("the guest failed with status {}", detail);
    if (event == "stage1-failed") return std::format("stage 1 failed: {}", detail);
    if (event == "panic") return "the guest's kernel panicked; its last words are on the console";
    if (event == "disk-full") return std::format("no room on the host for the guest's disk '{}': free some", detail);
    if (event == "disk-error") return std::format("the host could not read or write the guest's disk '{}'", detail);
    if (event == "timeout") return std::format("ended after its {} s (timeout)", detail);
    if (event == "signal") return std::format("ended by signal {}", detail);
    if (event == "qemu-said") return std::format("QEMU: {}", detail);
    return "";  // started, phase, exit: nothing that a person at the console misses
}

}  // namespace

namespace {

// Standard error may be a full disk, or closed: what can't be told there is lost, never the guest's status. std::print throws.
void tell(const std::string &line) {
    (void)std::fputs((line + "\n").c_str(), stderr);
    (void)std::fflush(stderr);
}

}  // namespace

void say(const std::string &text) { tell("runvm: " + printable(text)); }

void Reporter::event(std::string_view event, std::string_view detail) const {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (json_) {
        tell(std::format("{{\"event\":{},\"seconds\":{:.3f},\"detail\":{}}}", base::json_text(event), seconds,
                         base::json_text(detail)));
        return;
    }
    if (view_ != nullptr) view_->event(event, detail);
    const std::string line = sentence(event, detail);
    if (!line.empty()) note(std::format("{:.1f} s: {}", seconds, line));
}

void Reporter::note(const std::string &text) const {
    if (json_)
        event("note", text);
    else if (view_ != nullptr)
        view_->note(printable(text));
    else
        say(text);
}

void Reporter::progress(const std::string &text) const {
    if (json_)
        event("progress", text);
    else if (view_ != nullptr)
        view_->doing(printable(text));
    else
        say(text);
}

}  // namespace hostside
