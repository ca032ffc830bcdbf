#include "mounts/devices/oem_strings.h"

namespace mounts {

std::vector<std::string> oem_strings(std::string_view tables) {
    // DMTF DSP0134, 6.1.2 and 6.1.3: the formatted part begins with its type and length. The strings follow, each with a NUL,
    // then one more NUL. A structure without strings ends in two NULs.
    constexpr size_t header_bytes = 4;
    constexpr unsigned char oem_type = 11, end_type = 127;
    std::vector<std::string> found;
    while (tables.size() >= header_bytes) {
        const auto type = static_cast<unsigned char>(tables[0]), length = static_cast<unsigned char>(tables[1]);
        if (length < header_bytes || length >= tables.size() || type == end_type) break;
        tables.remove_prefix(length);
        bool any = false;
        while (!tables.empty() && tables[0] != '\0') {
            const size_t end = tables.find('\0');
            if (end == std::string_view::npos) return found;
            if (type == oem_type) found.emplace_back(tables.substr(0, end));
            tables.remove_prefix(end + 1);
            any = true;
        }
        const size_t terminator = any ? 1 : 2;
        if (tables.size() < terminator) break;
        tables.remove_prefix(terminator);
    }
    return found;
}

}  // namespace mounts
