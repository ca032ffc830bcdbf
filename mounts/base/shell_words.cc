#include "mounts/base/shell_words.h"

namespace base {

namespace {

constexpr std::string_view blanks = " \t\n";

base::Error open_quote(std::string_view what, char quote) {
    return {"split", std::string(what), 0, std::string("a quote ") + quote + " is opened and never closed"};
}

}  // namespace

base::Result<std::vector<std::string>> split_words(std::string_view text, std::string_view what) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote == '\'') {
            if (c == quote)
                quote = 0;
            else
                word += c;
        } else if (c == '\\') {
            if (i + 1 == text.size()) return base::fail(0, "split", what, "ends in a backslash that escapes nothing");
            const char next = text[++i];
            if (quote == '"' && std::string_view("\"\\$`\n").find(next) == std::string_view::npos) word += c;
            if (next != '\n') word += next;
            in_word = true;
        } else if (quote == '"') {
            if (c == quote)
                quote = 0;
            else
                word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (blanks.find(c) != std::string_view::npos) {
            if (in_word) words.push_back(std::move(word));
            word.clear();
            in_word = false;
        } else {
            word += c;
            in_word = true;
        }
    }
    if (quote != 0) return std::unexpected(open_quote(what, quote));
    if (in_word) words.push_back(std::move(word));
    return words;
}

std::string quote_word(std::string_view word) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string(word);
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

std::string quote_words(const std::vector<std::string> &words) {
    std::string line;
    for (const auto &word : words) line += (line.empty() ? "" : " ") + quote_word(word);
    return line;
}

}  // namespace base
