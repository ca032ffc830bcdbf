#include "mounts/exec/request.h"

namespace mounts::exec {

std::string request_text(const Request &request) {
    std::string text;
    const auto field = [&](char letter, std::string_view value) {
        text += letter;
        text += value;
        text += '\0';
    };
    for (const auto &word : request.argv) field('a', word);
    for (const auto &variable : request.environment) field('e', variable);
    if (!request.directory.empty()) field('d', request.directory);
    if (!request.user.empty()) field('u', request.user);
    if (!request.task.empty()) field('t', request.task);
    if (request.builder) field('b', "");
    // Last, because its bytes may be NUL.
    if (request.terminal) (text += 's') += size_payload(*request.terminal);
    return text;
}

std::optional<Request> parse_request(std::string_view text) {
    Request request;
    while (!text.empty()) {
        const char letter = text[0];
        if (letter == 's') {
            request.terminal = parse_size(text.substr(1));
            return request.terminal ? std::optional(std::move(request)) : std::nullopt;
        }
        const size_t end = text.find('\0');
        if (end == 0 || end == std::string_view::npos) return std::nullopt;
        std::string value(text.substr(1, end - 1));
        text.remove_prefix(end + 1);
        switch (letter) {
        case 'a': request.argv.push_back(std::move(value)); break;
        case 'e': request.environment.push_back(std::move(value)); break;
        case 'd': request.directory = std::move(value); break;
        case 'u': request.user = std::move(value); break;
        case 't': request.task = std::move(value); break;
        case 'b': request.builder = true; break;
        default: return std::nullopt;
        }
    }
    return request;
}

}  // namespace mounts::exec
