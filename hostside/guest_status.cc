#include "hostside/guest_status.h"

#include <algorithm>
#include <charconv>

namespace hostside {

namespace {

constexpr size_t line_limit_bytes = 4096;
constexpr int largest_guest_code = 119;

std::optional<GuestStatus> parse(std::string_view line) {
    if (line == "ready") return GuestStatus{GuestStatus::Kind::ready, 0, {}};
    if (line.starts_with("stage1-failed ")) return GuestStatus{GuestStatus::Kind::stage1_failed, 0, printable(line.substr(14))};
    if (!line.starts_with("exit ")) return std::nullopt;
    int code = 0;
    const std::string_view number = line.substr(5);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code);
    if (error != std::errc{} || end != number.data() + number.size() || code < 0) return std::nullopt;
    return GuestStatus{GuestStatus::Kind::exit, std::min(code, largest_guest_code), {}};
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

std::vector<GuestStatus> StatusLines::feed(std::string_view bytes) {
    std::vector<GuestStatus> result;
    for (const char c : bytes) {
        if (c != '\n') {
            if (line_.size() < line_limit_bytes) line_ += c;
            continue;
        }
        if (auto status = parse(line_)) result.push_back(std::move(*status));
        line_.clear();
    }
    return result;
}

}  // namespace hostside
