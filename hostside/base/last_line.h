// The last line of a failed program's output, which usually has the reason.
#pragma once

#include <ranges>
#include <string_view>

namespace hostside {

// The last nonempty line of `text`; empty: there is none. Not made printable.
inline std::string_view last_line(std::string_view text) {
    std::string_view last;
    for (const auto line : std::views::split(text, '\n'))
        if (!line.empty()) last = std::string_view(line);
    return last;
}

}  // namespace hostside
