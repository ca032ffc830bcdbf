#include "mounts/exec/frame.h"

#include <algorithm>

namespace mounts::exec {

namespace {

void append_number(std::string &to, uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i));
}

uint32_t number(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

}  // namespace

void append_header(std::string &to, FrameType type, uint32_t session, size_t length) {
    to += static_cast<char>(type);
    to += '\0';
    append_number(to, static_cast<uint32_t>(length), 2);
    append_number(to, session, 4);
}

void append_frame(std::string &to, FrameType type, uint32_t session, std::string_view payload) {
    append_header(to, type, session, payload.size());
    to += payload;
}

void append_frames(std::string &to, FrameType type, uint32_t session, std::string_view payload) {
    for (; !payload.empty(); payload.remove_prefix(std::min(payload.size(), payload_limit_bytes)))
        append_frame(to, type, session, payload.substr(0, payload_limit_bytes));
}

void FrameReader::take(std::string_view data) {
    bytes_.erase(0, at_);
    at_ = 0;
    bytes_ += data;
}

std::optional<Frame> FrameReader::next() {
    for (; bytes_.size() - at_ >= header_bytes; ++at_) {
        const std::string_view rest = std::string_view(bytes_).substr(at_);
        const auto type = static_cast<unsigned char>(rest[0]);
        const size_t length = number(rest.substr(2, 2));
        if (type == 0 || type > static_cast<unsigned char>(FrameType::last) || rest[1] != 0 || length > payload_limit_bytes)
            continue;
        if (rest.size() < header_bytes + length) return std::nullopt;
        at_ += header_bytes + length;
        return Frame{static_cast<FrameType>(type), number(rest.substr(4, 4)), rest.substr(header_bytes, length)};
    }
    return std::nullopt;
}

std::string credit_payload(Credit credit) {
    std::string payload(1, static_cast<char>(credit.stream));
    append_number(payload, credit.bytes, 4);
    return payload;
}

std::optional<Credit> parse_credit(std::string_view payload) {
    if (payload.size() != 5 || std::string_view("ioe").find(payload[0]) == std::string_view::npos) return std::nullopt;
    return Credit{static_cast<Stream>(payload[0]), number(payload.substr(1))};
}

std::string size_payload(Size size) {
    std::string payload;
    append_number(payload, size.rows, 2);
    append_number(payload, size.columns, 2);
    return payload;
}

std::optional<Size> parse_size(std::string_view payload) {
    if (payload.size() != 4) return std::nullopt;
    return Size{static_cast<uint16_t>(number(payload.substr(0, 2))), static_cast<uint16_t>(number(payload.substr(2)))};
}

std::string end_payload(const End &end) {
    std::string payload{static_cast<char>(end.kind), static_cast<char>(end.code)};
    constexpr size_t most = 4096;
    return payload += std::string_view(end.text).substr(0, most);
}

std::optional<End> parse_end(std::string_view payload) {
    if (payload.size() < 2 || std::string_view("xsf").find(payload[0]) == std::string_view::npos) return std::nullopt;
    return End{static_cast<End::Kind>(payload[0]), static_cast<uint8_t>(payload[1]), std::string(payload.substr(2))};
}

}  // namespace mounts::exec
