#include "hostside/cli/reporter.h"

#include <cstdio>
#include <format>

#include "hostside/base/printable.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

// Empty: nothing that a person at the console misses.
std::string sentence(const RunEvent &event) {
    switch (event.kind) {
    case RunEvent::ready: return "ready";
    case RunEvent::guest_exit: return event.number == 0 ? "" : std::format("the guest failed with status {}", event.number);
    case RunEvent::stage1_failure: return std::format("stage 1 failed: {}", event.text);
    case RunEvent::panic: return "the guest's kernel panicked; its last words are on the console";
    case RunEvent::disk_full: return std::format("no room on the host for the guest's disk '{}': free some", event.text);
    case RunEvent::store_lost: return std::format("the guest lost its store, and ends: {}", event.text);
    case RunEvent::disk_error: return std::format("the host could not read or write the guest's disk '{}'", event.text);
    case RunEvent::timeout: return std::format("ended after its {} s (timeout)", event.number);
    case RunEvent::signal: return std::format("ended by signal {}", event.number);
    case RunEvent::qemu_said: return std::format("QEMU: {}", event.text);
    case RunEvent::note:
    case RunEvent::progress:
    case RunEvent::started:
    case RunEvent::phase:
    case RunEvent::exit: break;
    }
    return "";
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

void Reporter::event(const RunEvent &event) const {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (json_) {
        tell(std::format("{{\"event\":{},\"seconds\":{:.3f},\"detail\":{}}}", base::json_text(name(event.kind)), seconds,
                         base::json_text(detail(event))));
        return;
    }
    if (view_ != nullptr) view_->event(event);
    const std::string line = sentence(event);
    if (!line.empty()) note(std::format("{:.1f} s: {}", seconds, line));
}

void Reporter::note(const std::string &text) const {
    if (json_)
        event({RunEvent::note, text});
    else if (view_ != nullptr)
        view_->note(printable(text));
    else
        say(text);
}

void Reporter::progress(const std::string &text) const {
    if (json_)
        event({RunEvent::progress, text});
    else if (view_ != nullptr)
        view_->doing(printable(text));
    else
        say(text);
}

}  // namespace hostside
