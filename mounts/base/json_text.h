// Text as a JSON string (RFC 8259, 7): for the few places that write JSON where speed or size forbids a library.
#pragma once

#include <string>
#include <string_view>

namespace base {

// With its quotes. What is not UTF-8 becomes U+FFFD, a byte at a time: a path or a label may hold anything, and must not
// make the document unreadable.
std::string json_text(std::string_view text);

}  // namespace base
