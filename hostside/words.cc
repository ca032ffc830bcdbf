#include "hostside/words.h"

#include <format>

namespace hostside {

base::Result<std::vector<std::string>> split_words(std::string_view text, std::string_view name) {
    std::vector<std::string> words;
    std::string word;
    bool inside = false;  // a word has begun; it may still be empty: ''
    char quote = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool escapes =
            c == '\\' && quote != '\'' && i + 1 < text.size() &&
            (quote == 0 || text[i + 1] == '"' || text[i + 1] == '\\' || text[i + 1] == '$' || text[i + 1] == '`');
        if (escapes) {
            word += text[++i];
            inside = true;
        } else if (quote != 0 && c == quote) {
            quote = 0;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
            inside = true;
        } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
            if (inside) words.push_back(std::move(word));
            word.clear();
            inside = false;
        } else {
            word += c;
            inside = true;
        }
    }
    if (quote != 0) return base::fail(0, "split", name, std::format("a {} has no end in: {}", quote, text));
    if (inside) words.push_back(std::move(word));
    return words;
}

std::string quoted(std::string_view word) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string(word);
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string quoted(const std::vector<std::string> &argv) {
    std::string line;
    for (const auto &word : argv) line += (line.empty() ? "" : " ") + quoted(word);
    return line;
}

std::string qemu_value(std::string_view text) {
    std::string out;
    for (const char c : text) out += c == ',' ? std::string(",,") : std::string(1, c);
    return out;
}

}  // namespace hostside
