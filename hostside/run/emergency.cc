#include "hostside/run/emergency.h"

#include <algorithm>
#include <array>

namespace hostside {

namespace {

// From systemd's systemd-sulogin-shell, and from util-linux's sulogin, which prints the second instead of a password prompt.
constexpr std::array<std::string_view, 2> all_words{"You are in emergency mode",
                                                    "Cannot open access to console, the root account is locked"};
constexpr size_t line_bytes = 256;

// Removes control sequences that print nothing: ESC, parameters, a letter.
std::string_view without_controls(std::string_view line) {
    for (;;) {
        const size_t at = std::min(line.find_first_not_of("\r\t \a"), line.size());
        line.remove_prefix(at);
        if (!line.starts_with('\x1b')) return line;
        const size_t end = line.find_first_of("ABCDEFGHJKLMPRSTXabcdefghlmnpqrstuc\\", 1);
        line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    }
}

}  // namespace

bool EmergencyWatch::take(std::string_view text) {
    while (!seen_ && !text.empty()) {
        const size_t end = text.find('\n');
        line_.append(text.substr(0, end).substr(0, line_bytes - std::min(line_.size(), line_bytes)));
        seen_ = std::ranges::any_of(all_words, [&](auto words) { return without_controls(line_).starts_with(words); });
        if (end == std::string_view::npos) break;
        line_.clear();
        text.remove_prefix(end + 1);
    }
    return seen_;
}

}  // namespace hostside
