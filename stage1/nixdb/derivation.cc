#include "stage1/nixdb/derivation.h"

#include <fcntl.h>

#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"
#include "mounts/nix/registration.h"

namespace stage1::nixdb {

namespace {

constexpr size_t derivation_limit_bytes = size_t{64} << 20;
constexpr size_t name_limit_bytes = 211;  // the limit for store path names

bool take(std::string_view &text, std::string_view word) {
    if (!text.starts_with(word)) return false;
    text.remove_prefix(word.size());
    return true;
}

// Output names, paths and hashes never need an escape. Text with one is not a derivation.
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
    // Newer derivations (dynamic ones) begin with DrvWithVersion("xp-dyn-drv",[…
    if (take(text, "DrvWithVersion(")) {
        if (!quoted(text) || !take(text, ",[")) return std::nullopt;
    } else if (!take(text, "Derive([")) {
        return std::nullopt;
    }
    Outputs outputs;
    for (bool first = true; !take(text, "]"); first = false) {
        if (!first && !take(text, ",")) return std::nullopt;
        if (!take(text, "(")) return std::nullopt;
        auto name = quoted(text);
        if (!name || !take(text, ",")) return std::nullopt;
        auto path = quoted(text);
        if (!path || !take(text, ",") || !quoted(text) || !take(text, ",") || !quoted(text) || !take(text, ")"))
            return std::nullopt;
        if (path->empty()) continue;
        if (name->size() > name_limit_bytes || !mounts::store_path_fault(*path).empty()) return std::nullopt;
        outputs.insert_or_assign(std::move(*name), std::move(*path));
    }
    return outputs;
}

base::Result<Outputs> read_outputs(int root, const std::string &path) {
    const auto file = base::open_regular_in_root(root, path);
    const auto text = file ? base::read_all(file->get(), path, derivation_limit_bytes) : std::unexpected(file.error());
    if (!text)
        return base::fail(text.error().code, "read derivation", path, "it is registered, and the database needs its outputs");
    auto outputs = derivation_outputs(*text);
    if (!outputs) return base::fail(0, "read derivation", path, "it does not begin as a derivation does");
    return std::move(*outputs);
}

}  // namespace stage1::nixdb
