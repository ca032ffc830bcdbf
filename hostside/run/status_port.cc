#include "hostside/run/status_port.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <format>
#include <utility>

#include "mounts/protocol.h"

namespace hostside {

namespace {

// Must fit on one line of a terminal.
std::string step_text(std::string_view text) {
    constexpr size_t longest = 100;
    return printable(text.substr(0, longest));
}

// `SECONDS NAME`.
StatusLine parse_waits(std::string_view text) {
    int seconds = 0;
    const char *const all = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), all, seconds);
    if (error != std::errc{} || end == all || *end != ' ' || seconds < 0) return {};
    return {StatusLine::waits, seconds, step_text({end + 1, all})};
}

// `BEGIN END`: microseconds since the guest's kernel started.
StatusLine parse_stage2(std::string_view text) {
    constexpr int64_t most_us = int64_t{1} << 50;  // 35 years
    int64_t began = 0, ended = 0;
    const char *const all = text.data() + text.size();
    const auto first = std::from_chars(text.data(), all, began);
    if (first.ec != std::errc{} || first.ptr == all || *first.ptr != ' ') return {};
    const auto second = std::from_chars(first.ptr + 1, all, ended);
    if (second.ec != std::errc{} || second.ptr != all || began <= 0 || ended < began || ended > most_us) return {};
    return {StatusLine::stage2, 0, std::format("{} {}", began, ended)};
}

}  // namespace

StatusLine parse_status(std::string_view line) {
    constexpr std::string_view exit_word = "exit ", failed_word = "stage1-failed", phase_word = "phase ", step_word = "step ",
                               waits_word = "waits ", report_word = "report", stage2_word = "stage2 ";
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
    if (line == mounts::protocol::fork_point_line) return {StatusLine::fork_point, 0, ""};
    if (line.starts_with(stage2_word)) return parse_stage2(line.substr(stage2_word.size()));
    if (line == "fresh-disk") return {StatusLine::fresh, 0, ""};
    if (line == report_word) return {StatusLine::report, 0, ""};
    if (line.starts_with(report_word) && line.substr(report_word.size()).starts_with(" {"))
        return {StatusLine::report, 0, std::string(line.substr(report_word.size() + 1))};
    if (line.starts_with(step_word)) return {StatusLine::step, 0, step_text(line.substr(step_word.size()))};
    if (line.starts_with(waits_word)) return parse_waits(line.substr(waits_word.size()));
    if (!line.starts_with(failed_word)) return {};
    return {StatusLine::failed, 0, printable(line.substr(std::min(line.size(), failed_word.size() + 1)))};
}

std::vector<StatusLine> StatusPort::receive() {
    std::array<char, 4096> chunk;
    const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) socket_.reset();
    if (n <= 0) return {};
    std::vector<StatusLine> news;
    for (const auto &line : lines_.take({chunk.data(), static_cast<size_t>(n)})) {
        StatusLine status = parse_status(line);
        if (status.kind == StatusLine::unknown) continue;  // from a newer or hostile guest: no acknowledgement
        if (status.kind == StatusLine::phase) {            // only informs: no acknowledgement either
            constexpr size_t most_phases = 16;
            if (phases_.size() < most_phases && phases_.insert(status.text).second) news.push_back(std::move(status));
            continue;
        }
        if (status.kind == StatusLine::report) {  // PortReport limits them
            news.push_back(std::move(status));
            continue;
        }
        if (status.kind == StatusLine::step || status.kind == StatusLine::waits) {
            constexpr int most_steps = 128;
            if (steps_++ < most_steps) news.push_back(std::move(status));
            continue;
        }
        if (status.kind == StatusLine::fork_point) {  // whoever starts a fork answers it
            if (!std::exchange(fork_point_, true)) news.push_back(std::move(status));
            continue;
        }
        if (status.kind == StatusLine::fresh) {  // yes only for the first boot; later boots find a disk that was written to
            const std::string_view answer = std::exchange(vouched_, true) ? "no\n" : mounts::protocol::fresh_answer;
            (void)::send(socket_.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            continue;
        }
        constexpr std::string_view acknowledgement = "ack\n";
        // If the guest does not read its answers, they are dropped.
        if (status.kind != StatusLine::failed || answers_failure_)
            (void)::send(socket_.get(), acknowledgement.data(), acknowledgement.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (!std::exchange(seen_[status.kind], true)) news.push_back(std::move(status));
    }
    return news;
}

}  // namespace hostside
