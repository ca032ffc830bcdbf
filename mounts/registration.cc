#include "mounts/registration.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <format>

namespace mounts {

namespace {

constexpr std::string_view store_prefix = "/nix/store/";
constexpr std::string_view base32_digits = "0123456789abcdfghijklmnpqrsvwxyz";  // no e, o, t, u
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t hash_part_length = 32;
constexpr size_t name_limit = 211;  // store path names: libstore/path.hh, MaxPathLen
constexpr size_t line_limit_bytes = 4096;
constexpr uint64_t references_limit = 10'000'000;  // more is not a closure but a wrong line

std::optional<Sha256> from_base16(std::string_view text) {
    Sha256 hash{};
    for (size_t i = 0; i < hash.size(); ++i) {
        const auto [end, error] = std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, hash[i], 16);
        if (error != std::errc{} || end != text.data() + 2 * i + 2) return std::nullopt;
    }
    return hash;
}

// Nix's base 32 runs from the last digit to the first, five bits each, the lowest first.
std::optional<Sha256> from_nix32(std::string_view text) {
    Sha256 hash{};
    for (size_t n = 0; n < text.size(); ++n) {
        const size_t digit = base32_digits.find(text[text.size() - n - 1]);
        if (digit == std::string_view::npos) return std::nullopt;
        const size_t byte = n * 5 / 8;
        const size_t shifted = digit << (n * 5 % 8);
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
    size_t bits = 0;
    size_t count = 0;
    size_t byte = 0;
    for (const char c : text.substr(0, text.size() - 1)) {
        const size_t digit = base64_digits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = (bits << 6 | digit) & 0xffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        hash[byte++] = static_cast<unsigned char>(bits >> count & 0xff);
    }
    if ((bits & ((size_t{1} << count) - 1)) != 0) return std::nullopt;
    return hash;
}

}  // namespace

std::string_view store_path_fault(std::string_view path) {
    if (!path.starts_with(store_prefix)) return "it does not begin with /nix/store/";
    path.remove_prefix(store_prefix.size());
    if (path.size() < hash_part_length + 2 || path[hash_part_length] != '-')
        return "after /nix/store/ come 32 characters, a dash and a name";
    if (path.substr(0, hash_part_length).find_first_not_of(base32_digits) != std::string_view::npos)
        return "its hash part has a character that Nix's base 32 has not";
    const std::string_view name = path.substr(hash_part_length + 1);
    if (name.size() > name_limit) return "its name is longer than 211 characters";
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("+-._?=").contains(c);
    };
    return std::ranges::all_of(name, allowed) ? "" : "its name has a character that a store path cannot have";
}

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
    std::string text;
    text.reserve(2 * hash.size());
    for (const unsigned char byte : hash) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::string nix32(const Sha256 &hash) {
    std::string text;
    for (size_t n = 52; n-- > 0;) {
        const size_t byte = n * 5 / 8;
        const size_t pair = hash[byte] | (byte + 1 < hash.size() ? size_t{hash[byte + 1]} << 8 : 0);
        text += base32_digits[pair >> (n * 5 % 8) & 31];
    }
    return text;
}

std::unexpected<base::Error> RegistrationReader::bad(std::string_view text, std::string_view expected) const {
    std::string shown(text.substr(0, 200));
    std::ranges::replace_if(shown, [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
    return base::fail(0, "read registration", name_, std::format("line {}: '{}': expected {}", line_, shown, expected));
}

base::Result<bool> RegistrationReader::line(std::string_view &text) {
    for (;;) {
        const size_t end = view_.find('\n');
        if (end != std::string_view::npos) {
            text = view_.substr(0, end);
            view_.remove_prefix(end + 1);
            ++line_;
            return true;
        }
        if (view_.size() > line_limit_bytes) {
            ++line_;
            return bad(view_, "a line of at most 4096 bytes");
        }
        if (fd_ < 0) break;
        buffer_.erase(0, buffer_.size() - view_.size());
        const size_t kept = buffer_.size();
        buffer_.resize(kept + 65536);
        ssize_t n = 0;
        do n = ::read(fd_, buffer_.data() + kept, 65536);
        while (n < 0 && errno == EINTR);
        if (n < 0) return base::fail(errno, "read", name_);
        buffer_.resize(kept + static_cast<size_t>(n));
        view_ = buffer_;
        if (n == 0) break;
    }
    if (view_.empty()) return false;
    ++line_;
    return bad(view_, "a newline at the end of it: the text was cut");
}

base::Result<std::string_view> RegistrationReader::field(std::string_view expected) {
    std::string_view text;
    auto more = line(text);
    if (!more) return std::unexpected(more.error());
    if (!*more) {
        ++line_;
        return base::fail(0, "read registration", name_,
                          std::format("line {}: the text ends here: expected {}", line_, expected));
    }
    return text;
}

base::Result<uint64_t> RegistrationReader::number(std::string_view what) {
    auto text = field(what);
    if (!text) return std::unexpected(text.error());
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value > INT64_MAX) return bad(*text, what);
    return value;
}

base::Result<bool> RegistrationReader::next(PathInfo &info) {
    std::string_view text;
    auto more = line(text);
    if (!more || !*more) return more;
    info.line = line_;
    if (const auto fault = store_path_fault(text); !fault.empty()) return bad(text, std::format("a store path: {}", fault));
    info.path = text;

    auto hash = field("the SHA-256 of the NAR");
    if (!hash) return std::unexpected(hash.error());
    const auto parsed = parse_hash(*hash);
    if (!parsed) return bad(*hash, "a SHA-256 in base16, base 32 or base64");
    info.hash = *parsed;

    auto size = number("the NAR's size in bytes");
    if (!size) return std::unexpected(size.error());
    info.nar_size = *size;

    auto deriver = field("the deriver or an empty line");
    if (!deriver) return std::unexpected(deriver.error());
    if (const auto fault = store_path_fault(*deriver); !deriver->empty() && !fault.empty())
        return bad(*deriver, std::format("the deriver's store path or an empty line: {}", fault));
    info.deriver = *deriver;

    auto count = number("the number of references");
    if (!count) return std::unexpected(count.error());
    if (*count > references_limit) return bad(std::to_string(*count), "the number of references");
    info.references.clear();
    for (uint64_t i = 0; i < *count; ++i) {
        auto reference = field("a reference");
        if (!reference) return std::unexpected(reference.error());
        if (const auto fault = store_path_fault(*reference); !fault.empty())
            return bad(*reference, std::format("reference {} of {} of {}: {}", i + 1, *count, info.path, fault));
        info.references.emplace_back(*reference);
    }
    return true;
}

void print(std::string &out, const PathInfo &info, RegistrationFormat format) {
    const bool dump = format == RegistrationFormat::dump_db;
    out += info.path;
    out += dump ? "\n" : "\nsha256:";
    out += dump ? base16(info.hash) : nix32(info.hash);
    out += std::format("\n{}\n{}\n{}\n", info.nar_size, dump ? info.deriver : "", info.references.size());
    for (const auto &reference : info.references) {
        out += reference;
        out += '\n';
    }
}

}  // namespace mounts
