#include "mounts/nix/registration.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace mounts {

namespace {

constexpr size_t hash_part_length = 32;
constexpr size_t name_begin = store_prefix.size() + hash_part_length + 1;
constexpr size_t name_limit = 211;  // limit for store path names (libstore/path.hh, MaxPathLen)
constexpr size_t line_limit_bytes = 4096;
constexpr size_t chunk_limit_bytes = 65536;
constexpr size_t first_chunk_bytes = 1024;
constexpr uint64_t references_limit = 10'000'000;  // a larger count can only be a wrong line

enum Kind : uint8_t { in_hash_part = 1, in_name = 2 };

consteval std::array<uint8_t, 256> kinds_of_character() {
    std::array<uint8_t, 256> kinds{};
    const auto add = [&](std::string_view characters, Kind kind) {
        for (const char c : characters) kinds[static_cast<unsigned char>(c)] |= kind;
    };
    add(nix32_digits, in_hash_part);
    add("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-._?=", in_name);
    return kinds;
}

constexpr std::array<uint8_t, 256> kinds = kinds_of_character();

bool is(char c, Kind kind) { return (kinds[static_cast<unsigned char>(c)] & kind) != 0; }

// The length of the store path at the beginning of the text; 0: there is none.
size_t store_path_length(std::string_view text) {
    if (text.size() < name_begin || std::memcmp(text.data(), store_prefix.data(), store_prefix.size()) != 0) return 0;
    for (size_t i = store_prefix.size(); i < name_begin - 1; ++i)
        if (!is(text[i], in_hash_part)) return 0;
    if (text[name_begin - 1] != '-') return 0;
    const size_t limit = std::min(text.size(), name_begin + name_limit);
    size_t end = name_begin;
    while (end < limit && is(text[end], in_name)) ++end;
    return end == name_begin ? 0 : end;
}

}  // namespace

std::string_view store_path_fault(std::string_view path) {
    if (!path.empty() && store_path_length(path) == path.size()) return "";
    if (!path.starts_with(store_prefix)) return "it does not begin with /nix/store/";
    if (path.size() <= name_begin || path[name_begin - 1] != '-')
        return "after /nix/store/ come 32 characters, a dash and a name";
    const std::string_view hash_part = path.substr(store_prefix.size(), hash_part_length);
    if (!std::ranges::all_of(hash_part, [](char c) { return is(c, in_hash_part); }))
        return "its hash part has a character that is not in Nix's base 32";
    if (path.size() > name_begin + name_limit) return "its name is longer than 211 characters";
    return "its name has a character that a store path cannot have";
}

RegistrationReader::RegistrationReader(int fd, std::string name)
    : fd_(fd), name_(std::move(name)), buffer_(chunk_limit_bytes + line_limit_bytes), chunk_bytes_(chunk_limit_bytes) {}

std::unexpected<base::Error> RegistrationReader::bad(std::string_view text, std::string_view expected) const {
    std::string shown(text.substr(0, 200));
    std::ranges::replace_if(shown, [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
    return base::fail(0, "read registration", name_,
                      "line " + std::to_string(line_) + ": '" + shown + "': expected " + std::string(expected));
}

std::unexpected<base::Error> RegistrationReader::ended(std::string_view expected) const {
    return base::fail(0, "read registration", name_,
                      "line " + std::to_string(line_ + 1) + ": the text ends here: expected " + std::string(expected));
}

void RegistrationReader::seek(uint64_t offset) {
    const auto buffered = static_cast<uint64_t>(view_.data() + view_.size() - buffer_.data());
    references_left_ = 0;
    if (!view_.empty() && offset <= read_bytes_ && offset + buffered >= read_bytes_) {
        view_ = std::string_view(buffer_.data() + (buffered - (read_bytes_ - offset)), read_bytes_ - offset);
        return;
    }
    view_ = {};
    read_bytes_ = offset;
    chunk_bytes_ = first_chunk_bytes;
}

// Reads more data behind the rest of the buffer. False at the end of the file.
base::Result<bool> RegistrationReader::more() {
    if (fd_ < 0) return false;
    if (!view_.empty()) std::memmove(buffer_.data(), view_.data(), view_.size());
    ssize_t n = 0;
    do n = ::pread(fd_, buffer_.data() + view_.size(), chunk_bytes_, static_cast<off_t>(read_bytes_));
    while (n < 0 && errno == EINTR);
    if (n < 0) return base::fail(errno, "read", name_);
    view_ = std::string_view(buffer_.data(), view_.size() + static_cast<size_t>(n));
    read_bytes_ += static_cast<uint64_t>(n);
    chunk_bytes_ = std::min(2 * chunk_bytes_, chunk_limit_bytes);
    return n > 0;
}

base::Result<bool> RegistrationReader::line(std::string_view &text) {
    for (;;) {
        const size_t end = view_.substr(0, line_limit_bytes).find('\n');
        if (end != std::string_view::npos) {
            text = view_.substr(0, end);
            view_.remove_prefix(end + 1);
            ++line_;
            return true;
        }
        if (view_.size() >= line_limit_bytes) {
            ++line_;
            return bad(view_, "a line of at most 4096 bytes");
        }
        const auto read = more();
        if (!read) return std::unexpected(read.error());
        if (!*read) break;
    }
    if (view_.empty()) return false;
    ++line_;
    return bad(view_, "a newline at the end of it: the text was cut");
}

// Fast path: finds and checks a line that is a store path in one pass. line() handles any other line, or one that the buffer
// cuts.
base::Result<bool> RegistrationReader::path(std::string_view &text, std::string_view &fault) {
    const size_t length = store_path_length(view_);
    if (length == 0 || length >= view_.size() || view_[length] != '\n') {
        auto there = line(text);
        if (there && *there) fault = store_path_fault(text);
        return there;
    }
    text = view_.substr(0, length);
    view_.remove_prefix(length + 1);
    ++line_;
    return true;
}

base::Result<std::string_view> RegistrationReader::field(std::string_view expected) {
    std::string_view text;
    const auto there = line(text);
    if (!there) return std::unexpected(there.error());
    if (!*there) return ended(expected);
    return text;
}

base::Result<uint64_t> RegistrationReader::number(std::string_view what) {
    const auto text = field(what);
    if (!text) return std::unexpected(text.error());
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value > INT64_MAX) return bad(*text, what);
    return value;
}

base::Result<bool> RegistrationReader::header(PathInfo &info) {
    std::string_view text, fault;
    const auto there = path(text, fault);
    if (!there || !*there) return there;
    info.line = line_;
    info.references.clear();
    if (!fault.empty()) return bad(text, "a store path: " + std::string(fault));
    info.path = text;

    const auto hash = field("the SHA-256 of the NAR");
    if (!hash) return std::unexpected(hash.error());
    const auto parsed = parse_hash(*hash);
    if (!parsed) return bad(*hash, "a SHA-256 in base16, base 32 or base64");
    info.hash = *parsed;

    const auto size = number("the NAR's size in bytes");
    if (!size) return std::unexpected(size.error());
    info.nar_size = *size;

    const auto deriver = field("the deriver or an empty line");
    if (!deriver) return std::unexpected(deriver.error());
    fault = store_path_fault(*deriver);
    if (!deriver->empty() && !fault.empty())
        return bad(*deriver, "the deriver's store path or an empty line: " + std::string(fault));
    info.deriver = *deriver;

    const auto count = number("the number of references");
    if (!count) return std::unexpected(count.error());
    if (*count > references_limit) return bad(std::to_string(*count), "the number of references");
    references_ = references_left_ = *count;
    return true;
}

base::Result<std::string_view> RegistrationReader::reference() {
    std::string_view text, fault;
    const auto there = path(text, fault);
    if (!there) return std::unexpected(there.error());
    if (!*there) return ended("a reference");
    --references_left_;
    if (!fault.empty())
        return bad(text, "reference " + std::to_string(references_ - references_left_) + " of " + std::to_string(references_) +
                             ": " + std::string(fault));
    return text;
}

base::Result<bool> RegistrationReader::next(PathInfo &info) {
    const auto there = header(info);
    if (!there || !*there) return there;
    while (references_left_ != 0) {
        const auto text = reference();
        if (!text) return std::unexpected(text.error());
        info.references.emplace_back(*text);
    }
    return true;
}

void print(std::string &out, const PathInfo &info, RegistrationFormat format) {
    const bool dump = format == RegistrationFormat::dump_db;
    out += info.path;
    out += dump ? "\n" : "\nsha256:";
    out += dump ? base16(info.hash) : nix32(info.hash);
    out += '\n' + std::to_string(info.nar_size) + '\n';
    if (dump) out += info.deriver;
    out += '\n' + std::to_string(info.references.size()) + '\n';
    for (const auto &reference : info.references) {
        out += reference;
        out += '\n';
    }
}

}  // namespace mounts
