#include "hostside/cli/reporter.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <format>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

// What the user is told right away. How a run ended comes last (ending.h).
std::string sentence(const RunEvent &event) {
    switch (event.kind) {
    case RunEvent::ready: return "ready";
    case RunEvent::emergency: return "the guest's systemd is in emergency mode and waits for a person";
    case RunEvent::disk_full: return std::format("there is no room on the host for the guest's disk '{}': free some", event.text);
    case RunEvent::store_lost: return std::format("the guest lost its store and ends: {}", event.text);
    case RunEvent::share_lost: return std::format("the guest lost a shared directory and ends: {}", event.text);
    case RunEvent::tpm_lost: return std::format("the guest lost its TPM and ends: {}", event.text);
    case RunEvent::disk_error: return std::format("the host could not read or write the guest's disk '{}'", event.text);
    default: break;
    }
    return "";
}

}  // namespace

namespace {

// Ignores errors, because a full disk or a closed standard error must not change the exit status.
void tell(const std::string &line) {
    (void)std::fputs((line + "\n").c_str(), stderr);
    (void)std::fflush(stderr);
}

}  // namespace

void say(const std::string &text) { tell("runvm: " + printable(text)); }

void say_last(const std::vector<std::string> &lines) {
    const char *no_colour = std::getenv("NO_COLOR");
    const char *term = std::getenv("TERM");
    const bool coloured = ::isatty(STDERR_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
                          std::string_view(term) != "dumb";
    for (const auto &line : lines) {
        const bool first = &line == lines.data();
        tell(coloured && first ? "\x1b[1;31mrunvm: " + printable(line) + "\x1b[0m" : "runvm: " + printable(line));
    }
}

int refuse(const base::Error &error) {
    say(base::message(error));
    return launcher_error;
}

int print_result(const std::string &text) {
    const auto wrote = base::write_all(STDOUT_FILENO, text, "standard output");
    return wrote ? 0 : refuse(wrote.error());
}

double Reporter::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

void Reporter::event(const RunEvent &event) const {
    if (quiet_) return;
    if (json_) {
        tell(std::format("{{\"event\":{},\"seconds\":{:.3f},\"detail\":{}}}", base::json_text(name(event.kind)), seconds(),
                         base::json_text(detail(event))));
        return;
    }
    if (view_ != nullptr) view_->event(event);
    const std::string line = sentence(event);
    if (!line.empty()) note(std::format("{:.1f} s: {}", seconds(), line));
    // The guest asks the user there what to do next.
    if (view_ != nullptr && event.kind == RunEvent::stage1_failure)
        note(std::format("{:.1f} s: stage 1 failed: {}; ctrl-a x ends the machine", seconds(), event.text));
}

int Reporter::refuse(const base::Error &error) const {
    if (!json_) return hostside::refuse(error);
    event({RunEvent::cause, base::message(error)});
    event({.kind = RunEvent::exit, .number = launcher_error});
    return launcher_error;
}

void Reporter::note(const std::string &text) const {
    if (quiet_) return;
    if (json_)
        event({RunEvent::note, text});
    else if (view_ != nullptr)
        view_->note(printable(text));
    else
        say(text);
}

void Reporter::progress(const std::string &text) const {
    if (quiet_) return;
    if (json_)
        event({RunEvent::progress, text});
    else if (view_ != nullptr)
        view_->doing(printable(text));
    else
        say(text);
}

}  // namespace hostside
