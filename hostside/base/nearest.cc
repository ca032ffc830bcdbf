#include "hostside/base/nearest.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

namespace hostside {

size_t letters_apart(std::string_view a, std::string_view b) {
    constexpr size_t longest = 64;  // limits time and memory, which grow with both lengths
    if (a.size() > longest || b.size() > longest) return SIZE_MAX;
    const auto same = [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    };
    std::vector<size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        next[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            next[j] = std::min({row[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1), row[j] + 1, next[j - 1] + 1});
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                next[j] = std::min(next[j], before[j - 2] + 1);
        }
        before.swap(row);
        row.swap(next);
    }
    return row.back();
}

}  // namespace hostside
