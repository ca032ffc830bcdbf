#include "mounts/nix/nix_hash.h"

#include <cstdint>

namespace mounts {

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t no_digit = 0xff;

using Digits = std::array<uint8_t, 256>;

consteval Digits values_of(std::string_view digits) {
    Digits values{};
    values.fill(no_digit);
    for (size_t i = 0; i < digits.size(); ++i) values[static_cast<unsigned char>(digits[i])] = static_cast<uint8_t>(i);
    return values;
}

consteval Digits hexadecimal_values() {
    Digits values = values_of("0123456789abcdef");
    for (size_t i = 10; i < 16; ++i) values["ABCDEF"[i - 10]] = static_cast<uint8_t>(i);
    return values;
}

constexpr Digits base16_values = hexadecimal_values();
constexpr Digits nix32_values = values_of(nix32_digits);
constexpr Digits base64_values = values_of(base64_digits);

uint8_t digit(const Digits &values, char c) { return values[static_cast<unsigned char>(c)]; }

std::optional<Sha256> from_base16(std::string_view text) {
    Sha256 hash{};
    unsigned seen = 0;
    for (size_t i = 0; i < hash.size(); ++i) {
        const uint8_t high = digit(base16_values, text[2 * i]);
        const uint8_t low = digit(base16_values, text[2 * i + 1]);
        seen |= high | low;
        hash[i] = static_cast<unsigned char>(high << 4 | (low & 15));
    }
    if (seen > 15) return std::nullopt;
    return hash;
}

// Nix's base 32 runs from the last digit to the first, five bits each, lowest bits first.
std::optional<Sha256> from_nix32(std::string_view text) {
    Sha256 hash{};
    for (size_t n = 0; n < text.size(); ++n) {
        const unsigned value = digit(nix32_values, text[text.size() - n - 1]);
        if (value == no_digit) return std::nullopt;
        const size_t byte = n * 5 / 8;
        const unsigned shifted = value << (n * 5 % 8);
        hash[byte] |= static_cast<unsigned char>(shifted & 0xff);
        if (shifted >> 8 == 0) continue;
        if (byte + 1 == hash.size()) return std::nullopt;  // more than 256 bits
        hash[byte + 1] |= static_cast<unsigned char>(shifted >> 8);
    }
    return hash;
}

std::optional<Sha256> from_base64(std::string_view text) {
    if (text.back() != '=') return std::nullopt;
    Sha256 hash{};
    unsigned bits = 0;
    unsigned count = 0;
    size_t byte = 0;
    for (const char c : text.substr(0, text.size() - 1)) {
        const unsigned value = digit(base64_values, c);
        if (value == no_digit) return std::nullopt;
        bits = (bits << 6 | value) & 0xffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        hash[byte++] = static_cast<unsigned char>(bits >> count & 0xff);
    }
    if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
    return hash;
}

}  // namespace

std::optional<Sha256> parse_hash(std::string_view text) {
    const bool sri = text.starts_with("sha256-");
    if (sri || text.starts_with("sha256:")) text.remove_prefix(7);
    if (text.size() == 44) return from_base64(text);
    if (sri) return std::nullopt;
    if (text.size() == 64) return from_base16(text);
    if (text.size() == 52) return from_nix32(text);
    return std::nullopt;
}

std::string base16(const Sha256 &hash) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text(2 * hash.size(), '\0');
    for (size_t i = 0; i < hash.size(); ++i) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    return text;
}

std::string nix32(const Sha256 &hash) {
    std::string text;
    for (size_t n = 52; n-- > 0;) {
        const size_t byte = n * 5 / 8;
        const size_t pair = hash[byte] | (byte + 1 < hash.size() ? size_t{hash[byte + 1]} << 8 : 0);
        text += nix32_digits[pair >> (n * 5 % 8) & 31];
    }
    return text;
}

}  // namespace mounts
