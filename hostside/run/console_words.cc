#include "hostside/run/console_words.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

namespace hostside {

namespace {

// The text after `words`, or nothing.
std::optional<std::string_view> behind(std::string_view line, std::string_view words) {
    const size_t at = line.find(words);
    if (at == std::string_view::npos) return std::nullopt;
    return line.substr(at + words.size());
}

std::string_view trimmed(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    const size_t begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return line.substr(begin, line.find_last_not_of(blanks) - begin + 1);
}

std::optional<int> exit_code_in(std::string_view panic) {
    const auto digits = behind(panic, "exitcode=0x");
    if (!panic.starts_with("Attempted to kill init!") || !digits) return std::nullopt;
    unsigned value = 0;
    (void)std::from_chars(digits->data(), digits->data() + digits->size(), value, 16);
    return static_cast<int>(value);
}

// Removes the printable remains of color sequences, `?[0;1;31m`.
std::string without_colours(std::string_view line) {
    std::string text;
    while (!line.empty()) {
        const size_t at = line.find("?[");
        text += line.substr(0, at);
        if (at == std::string_view::npos) break;
        line.remove_prefix(at);
        const size_t end = line.find_first_not_of("0123456789;", 2);
        const bool colour = end != std::string_view::npos && line[end] == 'm';
        if (!colour) text += line.substr(0, 2);
        line.remove_prefix(colour ? end + 1 : 2);
    }
    return text;
}

// systemd shortens a long name even within its colour, whose end is then left over: `…[0m`.
std::string without_cut_colour(std::string_view line) {
    constexpr std::string_view cut = "\u2026[0m", ellipsis = "\u2026";
    std::string text(line);
    if (const size_t at = text.find(cut); at != std::string::npos) text.erase(at + ellipsis.size(), cut.size() - ellipsis.size());
    return text;
}

// systemd's status line, or its message in the kernel's log if `quiet` keeps status lines off the console. Empty: neither.
std::string_view unit_failure(std::string_view line) {
    if (line.starts_with("[FAILED]") || line.starts_with("[ TIME ]")) return trimmed(line.substr(line.find(']') + 1));
    const auto message = behind(line, "systemd[1]: ");
    constexpr std::array<std::string_view, 6> failures{"Failed to mount ",         "Failed to start ",  "Failed to listen on ",
                                                       "Failed to activate swap ", "Failed to set up ", "Timed out "};
    if (!message || !std::ranges::any_of(failures, [&](auto words) { return message->starts_with(words); })) return {};
    return trimmed(*message);
}

std::string_view unit_that_depends(std::string_view line) {
    constexpr std::string_view words = "Dependency failed for ";
    const size_t at = line.find(words);
    if (at == std::string_view::npos || !(line.starts_with("[DEPEND]") || line.contains("systemd[1]: "))) return {};
    return trimmed(line.substr(at));
}

// `Out of memory: Killed process 143 (bash) total-vm:…` (Linux, mm/oom_kill.c). The name may contain parentheses.
void read_killed(ConsoleWords &words, std::string_view line) {
    const auto process = behind(line, "Out of memory: Killed process ");
    if (!process) return;
    words.out_of_memory = true;
    constexpr size_t most = 4;
    const size_t open = process->find('('), close = process->rfind(") total-vm:");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return;
    std::string name(process->substr(open + 1, close - open - 1));
    if (words.killed.size() < most && !std::ranges::contains(words.killed, name)) words.killed.push_back(std::move(name));
}

void read_line(ConsoleWords &words, std::string_view line) {
    words.last_line = line;
    // A kernel repeats the message at the end of the trace: `---[ end Kernel panic - not syncing: … ]---`.
    if (const auto panic = behind(line, "Kernel panic - not syncing: "); panic && !line.contains("[ end Kernel panic")) {
        words.panic = *panic;
        words.init_ended = exit_code_in(*panic);
    }
    if (line.contains("deadlocked on memory")) words.out_of_memory = true;
    read_killed(words, line);
    if (const auto failure = behind(line, "Initramfs unpacking failed: ")) words.initrd_failure = *failure;
    if (line.contains("You are in emergency mode") || line.contains("Cannot open access to console, the root account is locked"))
        words.emergency = true;
    // Keep the first failed unit: units that depend on it fail later and are not the cause.
    const std::string plain = without_cut_colour(without_colours(line));
    if (words.emergency) return;
    if (words.failed_unit.empty())
        words.failed_unit = unit_failure(plain);
    else if (words.dependent_unit.empty())
        words.dependent_unit = unit_that_depends(plain);
}

}  // namespace

ConsoleWords console_words(std::string_view text) {
    ConsoleWords words;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (const auto line = trimmed(text.substr(0, end)); !line.empty()) read_line(words, line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return words;
}

std::string how_init_ended(int wait_status) {
    if (WIFSIGNALED(wait_status)) return std::format("signal {}", WTERMSIG(wait_status));
    return std::format("status {}", WEXITSTATUS(wait_status));
}

}  // namespace hostside
