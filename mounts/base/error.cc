#include "mounts/base/error.h"

#include <cstring>
#include <format>

namespace base {

std::unexpected<Error> fail(int code, std::string_view step, std::string_view path, std::string_view hint) {
    return std::unexpected(Error{std::string(step), std::string(path), code, std::string(hint)});
}

std::string errno_text(int code) {
    const char *text = std::strerror(code);
    return text != nullptr && *text != '\0' ? text : std::format("error {}", code);
}

std::string message(const Error &error) {
    std::string line = error.step;
    if (!error.path.empty()) line += std::format(" '{}'", error.path);
    if (error.code != 0) line += ": " + errno_text(error.code);
    if (!error.hint.empty()) line += (error.code != 0 ? "; " : ": ") + error.hint;
    return line;
}

}  // namespace base
