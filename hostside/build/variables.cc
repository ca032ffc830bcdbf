#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "hostside/build/derivation.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using Variables = Derivation::Variables;

// One line of a shell's `export`, which may contain newlines: words with the quoting of bash and dash.
class Reader {
  public:
    Reader(std::string_view text, const std::string &name) : text_(text), name_(name) {}

    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    [[nodiscard]] std::unexpected<base::Error> bad(std::string_view why) const {
        return fail(0, "read environment", name_,
                    std::format("line {}: {}", 1 + std::ranges::count(text_.substr(0, at_), '\n'), why));
    }

    Result<std::vector<std::string>> line() {
        std::vector<std::string> words;
        for (bool word = false; !at_end();) {
            const char c = text_[at_++];
            if (c == '\n') return words;
            if (c == ' ') {
                word = false;
                continue;
            }
            if (!word) words.emplace_back();
            word = true;
            const bool dollar = c == '$' && text_.substr(at_).starts_with('\'');
            at_ += dollar ? 1 : 0;
            auto taken = dollar      ? escaped(words.back())
                         : c == '\'' ? quoted(words.back(), '\'')
                         : c == '"'  ? quoted(words.back(), '"')
                                     : plain(words.back(), c);
            if (!taken) return std::unexpected(taken.error());
        }
        return words;
    }

  private:
    Result<> plain(std::string &word, char c) {
        if (c == '\\') {
            if (at_end()) return bad("a backslash at the end");
            c = text_[at_++];
        }
        word += c;
        return {};
    }

    Result<> quoted(std::string &word, char quote) {
        for (; !at_end(); ++at_) {
            const char c = text_[at_];
            if (c == quote) {
                ++at_;
                return {};
            }
            constexpr std::string_view special = "\"\\$`\n";
            if (quote == '"' && c == '\\' && at_ + 1 < text_.size() && special.contains(text_[at_ + 1])) {
                if (text_[++at_] != '\n') word += text_[at_];
            } else {
                word += c;
            }
        }
        return bad("an unclosed quote");
    }

    // $'…' (bash(1), QUOTING), only the escapes that bash writes.
    Result<> escaped(std::string &word) {
        constexpr std::string_view letters = "abeEfnrtv\\'\"?", bytes = "\a\b\033\033\f\n\r\t\v\\'\"?";
        while (!at_end()) {
            const char c = text_[at_++];
            if (c == '\'') return {};
            if (c != '\\') {
                word += c;
                continue;
            }
            if (at_end()) break;
            if (const size_t found = letters.find(text_[at_]); found != std::string_view::npos) {
                word += bytes[found];
                ++at_;
                continue;
            }
            const bool hex = text_[at_] == 'x';
            const std::string_view digits = text_.substr(at_ + (hex ? 1 : 0), hex ? 2 : 3);
            unsigned value = 0;
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 8);
            if (error != std::errc{}) return bad(std::format("\\{} in $'…' is unknown", text_[at_]));
            at_ += (hex ? 1 : 0) + static_cast<size_t>(end - digits.data());
            word += static_cast<char>(value);
        }
        return bad("an unclosed quote");
    }

    std::string_view text_;
    const std::string &name_;
    size_t at_ = 0;
};

void add(Variables &variables, std::string_view assignment) {
    const size_t equals = assignment.find('=');
    if (equals == std::string_view::npos || equals == 0) return;  // exported but unset
    const std::string name(assignment.substr(0, equals)), value(assignment.substr(equals + 1));
    if (const auto same = std::ranges::find(variables, name, &Variables::value_type::first); same != variables.end())
        same->second = value;
    else
        variables.emplace_back(name, value);
}

}  // namespace

Result<Variables> variables_in(std::string_view text, const std::string &name) {
    Variables variables;
    if (text.contains('\0')) {
        for (size_t at = 0; at < text.size();) {
            const size_t end = std::min(text.find('\0', at), text.size());
            add(variables, text.substr(at, end - at));
            at = end + 1;
        }
        return variables;
    }
    for (Reader reader(text, name); !reader.at_end();) {
        auto words = reader.line();
        if (!words) return std::unexpected(words.error());
        if (words->empty()) continue;
        if (words->front() != "declare" && words->front() != "export")
            return reader.bad(std::format("'{}' instead of declare -x or export", words->front()));
        // Arrays are not exported to the environment.
        const bool flags = words->size() > 1 && (*words)[1].starts_with('-');
        if (flags && (*words)[1].find_first_of("aA") != std::string::npos) continue;
        for (size_t i = flags ? 2 : 1; i < words->size(); ++i) add(variables, (*words)[i]);
    }
    return variables;
}

}  // namespace hostside
