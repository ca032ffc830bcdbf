#include "hostside/nix/graph.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <optional>

#include "mounts/nix/nar.h"

namespace hostside::nixdb {

namespace {

class Lines {
  public:
    Lines(std::string_view text, const std::string &name) : rest_(text), name_(name) {}
    [[nodiscard]] bool done() const { return rest_.empty(); }

    base::Result<std::string> next(std::string_view expected) {
        ++number_;
        if (rest_.empty())
            return base::fail(0, "read graph", name_, std::format("line {}: the text ends here: expected {}", number_, expected));
        const size_t end = rest_.find('\n');
        text_ = rest_.substr(0, end);
        if (end == std::string_view::npos) return bad("a newline at the end of it: the text was cut");
        rest_.remove_prefix(end + 1);
        return std::string(text_);
    }
    base::Result<std::string> path(std::string_view expected) {
        auto text = next(expected);
        if (!text) return text;
        if (const auto fault = mounts::store_path_fault(*text); !fault.empty())
            return bad(std::format("{}: {}", expected, fault));
        return text;
    }
    // The error that the last line should have been `expected`.
    std::unexpected<base::Error> bad(std::string_view expected) const {
        return base::fail(0, "read graph", name_,
                          std::format("line {}: '{}': expected {}", number_, text_.substr(0, 200), expected));
    }

  private:
    std::string_view rest_, text_;
    const std::string &name_;
    size_t number_ = 0;
};

}  // namespace

base::Result<> read_graph(std::string_view text, const std::string &name, Paths &paths) {
    Lines lines(text, name);
    while (!lines.done()) {
        mounts::PathInfo info;
        const auto path = lines.path("a store path");
        if (!path) return std::unexpected(path.error());
        info.path = *path;
        const auto deriver = lines.next("the deriver or an empty line");
        if (!deriver) return std::unexpected(deriver.error());
        if (const auto fault = mounts::store_path_fault(*deriver); !deriver->empty() && !fault.empty())
            return lines.bad(std::format("the deriver's store path or an empty line: {}", fault));
        info.deriver = *deriver;
        const auto count = lines.next("the number of references");
        if (!count) return std::unexpected(count.error());
        size_t left = 0;
        const auto [end, error] = std::from_chars(count->data(), count->data() + count->size(), left);
        if (error != std::errc{} || end != count->data() + count->size()) return lines.bad("the number of references");
        for (; left != 0; --left) {
            auto reference = lines.path("a reference");
            if (!reference) return std::unexpected(reference.error());
            info.references.push_back(std::move(*reference));
        }
        std::ranges::sort(info.references);
        paths.emplace(info.path, std::move(info));
    }
    return {};
}

base::Result<> hash_paths(Paths &paths, const std::string &root) {
    for (auto &[path, info] : paths) {
        const auto nar = mounts::hash_nar(root + path);
        if (!nar) return std::unexpected(nar.error());
        info.hash = nar->hash;
        info.nar_size = nar->size_bytes;
    }
    return {};
}

}  // namespace hostside::nixdb
