#include "hostside/run/status_port.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <utility>

namespace hostside {

namespace {

// One UTF-8 character at the start of `text` (RFC 3629: shortest form, no surrogates): its length and value; length 0: none.
struct Character {
    size_t length = 0;
    uint32_t value = 0;
};

Character character_at(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    if (lead < 0x80) return {1, lead};
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    uint32_t value = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if ((c & 0xc0) != 0x80) return {};
        value = value << 6 | (c & 0x3f);
    }
    constexpr std::array<uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
    return {length, value};
}

bool harmless(uint32_t c) {
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
    // Line and paragraph separators, marks and overrides of direction (Unicode, UAX 9).
    return c != 0x200e && c != 0x200f && (c < 0x2028 || c > 0x202e) && (c < 0x2066 || c > 0x2069);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const Character c = character_at(text);
        if (c.length > 0 && harmless(c.value))
            result.append(text.substr(0, c.length));
        else
            result += '?';
        text.remove_prefix(std::max<size_t>(c.length, 1));
    }
    return result;
}

StatusLine parse_status(std::string_view line) {
    constexpr std::string_view exit_word = "exit ", failed_word = "stage1-failed", phase_word = "phase ";
    if (line == "ready") return {StatusLine::ready, 0, ""};
    if (line.starts_with(exit_word)) {
        const std::string_view number = line.substr(exit_word.size());
        int code = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code);
        if (error == std::errc{} && end == number.data() + number.size() && code >= 0) return {StatusLine::exit, code, ""};
        return {};
    }
    if (line.starts_with(phase_word)) {
        const std::string_view name = line.substr(phase_word.size());
        constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz_-0123456789";
        constexpr size_t longest = 32;
        if (name.empty() || name.size() > longest || name.find_first_not_of(letters) != std::string_view::npos) return {};
        return {StatusLine::phase, 0, std::string(name)};
    }
    if (!line.starts_with(failed_word)) return {};
    return {StatusLine::failed, 0, printable(line.substr(std::min(line.size(), failed_word.size() + 1)))};
}

std::vector<std::string> LineReader::take(std::string_view data) {
    std::vector<std::string> lines;
    while (!data.empty()) {
        const size_t end = data.find('\n');
        const std::string_view part = data.substr(0, end);
        too_long_ = too_long_ || line_.size() + part.size() > limit_bytes_;
        if (!too_long_) line_.append(part);
        data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
        if (end == std::string_view::npos) break;
        if (!too_long_) lines.push_back(line_);
        line_.clear();
        too_long_ = false;
    }
    return lines;
}

std::vector<StatusLine> StatusPort::receive() {
    std::array<char, 4096> chunk;
    const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) socket_.reset();
    if (n <= 0) return {};
    std::vector<StatusLine> news;
    for (const auto &line : lines_.take({chunk.data(), static_cast<size_t>(n)})) {
        StatusLine status = parse_status(line);
        if (status.kind == StatusLine::unknown) continue;  // of a newer guest, or of a hostile one: no acknowledgement
        if (status.kind == StatusLine::phase) {            // told in passing: no acknowledgement either
            constexpr size_t most_phases = 16;
            if (phases_.size() < most_phases && phases_.insert(status.text).second) news.push_back(std::move(status));
            continue;
        }
        constexpr std::string_view acknowledgement = "ack\n";
        // A guest that does not read its answers goes without.
        (void)::send(socket_.get(), acknowledgement.data(), acknowledgement.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (!std::exchange(seen_[status.kind], true)) news.push_back(std::move(status));
    }
    return news;
}

}  // namespace hostside
