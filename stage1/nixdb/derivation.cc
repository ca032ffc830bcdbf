#include "stage1/nixdb/derivation.h"

namespace stage1::nixdb {

namespace {

bool take(std::string_view &text, std::string_view word) {
    if (!text.starts_with(word)) return false;
    text.remove_prefix(word.size());
    return true;
}

// Output names, paths and hashes never need an escape; one that has it is not a derivation.
std::optional<std::string> quoted(std::string_view &text) {
    if (!take(text, "\"")) return std::nullopt;
    const size_t end = text.find_first_of("\"\\\n");
    if (end == std::string_view::npos || text[end] != '"') return std::nullopt;
    std::string value(text.substr(0, end));
    text.remove_prefix(end + 1);
    return value;
}

}  // namespace

std::optional<Outputs> derivation_outputs(std::string_view text) {
    // DrvWithVersion("xp-dyn-drv",[… is the newer beginning, for dynamic derivations.
    if (take(text, "DrvWithVersion(")) {
        if (!quoted(text) || !take(text, ",[")) return std::nullopt;
    } else if (!take(text, "Derive([")) {
        return std::nullopt;
    }
    Outputs outputs;
    while (!take(text, "]")) {
        if (!outputs.empty()) (void)take(text, ",");
        if (!take(text, "(")) return std::nullopt;
        auto name = quoted(text);
        if (!name || !take(text, ",")) return std::nullopt;
        auto path = quoted(text);
        if (!path || !take(text, ",") || !quoted(text) || !take(text, ",") || !quoted(text) || !take(text, ")"))
            return std::nullopt;
        outputs.emplace_back(std::move(*name), std::move(*path));
    }
    std::erase_if(outputs, [](const auto &output) { return output.second.empty(); });
    return outputs;
}

}  // namespace stage1::nixdb
