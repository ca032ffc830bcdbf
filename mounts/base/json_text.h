// Text as a JSON string (RFC 8259, 7), for the few places where speed or size rules out a JSON library.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Includes the quotes. Each byte that is not valid UTF-8 becomes U+FFFD, because a path or a label may hold any bytes and must
// not make the document unreadable.
std::string json_text(std::string_view text);

}  // namespace base
