#include "mounts/boot/command_line.h"

#include <algorithm>

namespace mounts {

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Removes the first word and returns it. A quote anywhere in the word hides spaces until the next quote.
std::string_view next_word(std::string_view &text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    bool quoted = false;
    size_t end = 0;
    for (; end < text.size() && (quoted || !is_space(text[end])); ++end)
        if (text[end] == '"') quoted = !quoted;
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    return word;
}

// The kernel drops a quote that opens the word or the value, and the matching quote at its end.
std::string_view unquote(std::string_view text) {
    if (!text.starts_with('"')) return text;
    text.remove_prefix(1);
    if (text.ends_with('"')) text.remove_suffix(1);
    return text;
}

}  // namespace

std::vector<Parameter> parse_command_line(std::string_view text) {
    // The kernel passes a C string. A file may hold more, but nothing after a NUL counts.
    text = text.substr(0, text.find('\0'));
    std::vector<Parameter> parameters;
    while (true) {
        const std::string_view raw = next_word(text);
        if (raw.empty() || raw == "--") return parameters;
        const std::string_view word = unquote(raw);
        const size_t equals = word.find('=');
        if (equals == std::string_view::npos)
            parameters.push_back({std::string(word), std::nullopt});
        else
            parameters.push_back({std::string(word.substr(0, equals)), std::string(unquote(word.substr(equals + 1)))});
    }
}

std::string module_options(const std::vector<Parameter> &parameters, std::string_view module) {
    const auto same = [](char a, char b) { return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_')); };
    std::string options;
    for (const auto &[name, value] : parameters) {
        const size_t dot = name.find('.');
        if (dot == std::string::npos || !std::ranges::equal(std::string_view(name).substr(0, dot), module, same)) continue;
        (options += options.empty() ? "" : " ") += name.substr(dot + 1);
        if (value) options += value->contains(' ') ? "=\"" + *value + "\"" : "=" + *value;
    }
    return options;
}

}  // namespace mounts
