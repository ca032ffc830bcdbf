#include "mounts/base/error.h"

#include <cerrno>
#include <cstring>
#include <format>

namespace base {

std::unexpected<Error> fail(int code, std::string_view step, std::string_view path, std::string_view hint) {
    return std::unexpected(Error{std::string(step), std::string(path), code, std::string(hint)});
}

namespace {

// Errors of file systems for which musl's strerror only says "No error information".
std::string_view file_system_text(int code) {
    switch (code) {
    case EUCLEAN: return "The file system's structure is damaged (EUCLEAN)";
    case EBADMSG: return "A checksum does not fit, data is damaged (EBADMSG)";
    case 524: return "The kernel does not support it (ENOTSUPP)";
    default: return {};
    }
}

}  // namespace

std::string errno_text(int code) {
    if (const auto words = file_system_text(code); !words.empty()) return std::string(words);
    const char *text = std::strerror(code);
    const bool unknown = text != nullptr && std::string_view(text) == "No error information";  // musl's
    return text != nullptr && !unknown && *text != '\0' ? text : std::format("error {}", code);
}

std::string message(const Error &error) {
    std::string line = error.step;
    if (!error.path.empty()) line += std::format(" '{}'", error.path);
    if (error.code != 0) line += ": " + errno_text(error.code);
    if (!error.hint.empty()) line += (error.code != 0 ? "; " : ": ") + error.hint;
    return line;
}

}  // namespace base
