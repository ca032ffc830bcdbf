// What makes a restored machine a machine of its own, and its text: words in one line, separated by blanks. The guest's agent
// gets it as a task (request.h), stage 1 as a line on the status port. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mounts::exec {

struct ForkNews {
    int64_t time_ns = 0;     // since 1970
    std::string entropy;     // bytes; secret
    std::string machine_id;  // 32 digits
    std::string boot_id;     // a UUID, as text
    std::string host_name;   // empty: it keeps the saved machine's
    // Addresses of network cards: the saved machine's, and the fork's.
    std::vector<std::pair<std::string, std::string>> cards{};
    bool operator==(const ForkNews &) const = default;
};

inline constexpr std::string_view fork_task = "fork ";  // and the text

// `host_name` must be one (is_host_name).
std::string fork_news_text(const ForkNews &news);
// Absent: not what fork_news_text() writes.
std::optional<ForkNews> parse_fork_news(std::string_view text);

// Letters, digits, dots and dashes, 64 at most (hostname(7)).
bool is_host_name(std::string_view name);

}  // namespace mounts::exec
