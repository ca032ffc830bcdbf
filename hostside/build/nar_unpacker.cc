#include "hostside/build/nar_unpacker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <utility>

#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr size_t number_bytes = 8, name_limit_bytes = 255, target_limit_bytes = 4095;

uint64_t number_in(std::string_view bytes) {
    uint64_t number = 0;
    for (size_t i = number_bytes; i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[i]);
    return number;
}

uint64_t padding_of(uint64_t length) { return (number_bytes - length % number_bytes) % number_bytes; }

bool zeros(std::string_view bytes) {
    return std::ranges::all_of(bytes, [](char c) { return c == '\0'; });
}

}  // namespace

Result<> NarUnpacker::take(std::string_view bytes) {
    waiting_.append(bytes);
    for (bool more = true; more && !whole();)
        if (auto done = next(more); !done) return done;
    waiting_.erase(0, std::exchange(at_, 0));
    if (whole() && waiting_.size() > trailer_limit_bytes) return bad("it has no end");
    return {};
}

// Reads a word, or the next part of a file. `more`: the waiting bytes may contain another word.
Result<> NarUnpacker::next(bool &more) {
    if (file_) return file_bytes(more);
    const std::string_view rest = std::string_view(waiting_).substr(at_);
    more = rest.size() >= number_bytes;
    if (!more) return {};
    const uint64_t length = number_in(rest);
    if (want_ == Want::contents) {
        consume(number_bytes);
        return begin_file(length);
    }
    const size_t most = want_ == Want::target ? target_limit_bytes : name_limit_bytes;
    if (length > most) return bad(std::format("a word has {} bytes", length));
    const size_t whole_bytes = number_bytes + length + padding_of(length);
    more = rest.size() >= whole_bytes;
    if (!more) return {};
    if (!zeros(rest.substr(number_bytes + length, padding_of(length)))) return bad("the padding is not zero");
    const std::string text(rest.substr(number_bytes, length));
    consume(whole_bytes);
    return word(text);
}

void NarUnpacker::consume(size_t count) {
    hash_.add(std::string_view(waiting_).substr(at_, count));
    size_bytes_ += count;
    at_ += count;
}

Result<> NarUnpacker::word(std::string_view text) {
    switch (want_) {
    case Want::magic: return expect(text, "nix-archive-1", Want::node_begin);
    case Want::node_begin: return expect(text, "(", Want::type_word);
    case Want::type_word: return expect(text, "type", Want::type);
    case Want::type: return begin_node(text);
    case Want::file_word:
        executable_ = text == "executable";
        return executable_ ? expect(text, "executable", Want::executable_value) : expect(text, "contents", Want::contents);
    case Want::executable_value: return expect(text, "", Want::contents_word);
    case Want::contents_word: return expect(text, "contents", Want::contents);
    case Want::target_word: return expect(text, "target", Want::target);
    case Want::target: return make_symlink(std::string(text));
    case Want::entry_or_end:
        if (text != ")") return expect(text, "entry", Want::entry_begin);
        name_ = levels_.back().name;
        levels_.pop_back();
        end_node();
        return {};
    case Want::entry_begin: return expect(text, "(", Want::name_word);
    case Want::name_word: return expect(text, "name", Want::name);
    case Want::name: return take_name(text);
    case Want::node_word: return expect(text, "node", Want::node_begin);
    case Want::node_end:
        if (auto done = expect(text, ")", Want::node_end); !done) return done;
        end_node();
        return {};
    case Want::entry_end: return expect(text, ")", Want::entry_or_end);
    case Want::contents:
    case Want::nothing: break;
    }
    return bad("an unexpected word");
}

Result<> NarUnpacker::expect(std::string_view text, std::string_view expected, Want then) {
    if (text != expected) return bad(std::format("'{}' instead of '{}'", text, expected));
    want_ = then;
    return {};
}

Result<> NarUnpacker::begin_node(std::string_view type) {
    if (type == "directory") return begin_directory();
    if (type == "symlink") return expect(type, "symlink", Want::target_word);
    return expect(type, "regular", Want::file_word);
}

void NarUnpacker::end_node() { want_ = levels_.empty() ? Want::nothing : Want::entry_end; }

Result<> NarUnpacker::begin_file(uint64_t length) {
    if (auto allowed = allowance_.take(length, parent()); !allowed) return allowed;
    auto file = base::open_at(parent(), name_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, executable_ ? 0777 : 0666);
    if (!file) return fail(file.error().code, "create", name_);
    file_ = std::move(*file);
    left_ = length;
    padding_ = padding_of(length);
    return {};
}

Result<> NarUnpacker::file_bytes(bool &more) {
    const std::string_view rest = std::string_view(waiting_).substr(at_);
    const auto count = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
    if (auto written = base::write_all(file_.get(), rest.substr(0, count), name_); !written) return written;
    consume(count);
    left_ -= count;
    more = left_ == 0 && rest.size() - count >= padding_;
    if (!more) return {};
    if (!zeros(rest.substr(count, padding_))) return bad("the padding is not zero");
    consume(padding_);
    file_.reset();
    want_ = Want::node_end;
    return {};
}

Result<> NarUnpacker::make_symlink(const std::string &target) {
    if (target.empty() || target.contains('\0')) return bad("a symlink without a valid target");
    if (auto allowed = allowance_.take(target.size(), parent()); !allowed) return allowed;
    if (::symlinkat(target.c_str(), parent(), name_.c_str()) < 0) return fail(errno, "symlink", name_);
    want_ = Want::node_end;
    return {};
}

// One descriptor per level, no recursion.
Result<> NarUnpacker::begin_directory() {
    if (levels_.size() == depth_limit) return bad(std::format("more than {} levels of directories", depth_limit));
    if (auto allowed = allowance_.take(0, parent()); !allowed) return allowed;
    if (::mkdirat(parent(), name_.c_str(), 0777) < 0) return fail(errno, "mkdir", name_);
    auto directory = base::open_at(parent(), name_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) return fail(directory.error().code, "open", name_);
    levels_.push_back({std::move(*directory), name_, ""});
    want_ = Want::entry_or_end;
    return {};
}

Result<> NarUnpacker::take_name(std::string_view name) {
    if (name.empty() || name == "." || name == ".." || name.contains('/') || name.contains('\0'))
        return bad(std::format("an entry named '{}'", name));
    std::string &last = levels_.back().last;
    if (name <= last) return bad(std::format("'{}' after '{}'", name, last));
    last = name_ = name;
    want_ = Want::node_word;
    return {};
}

std::unexpected<base::Error> NarUnpacker::bad(std::string_view why) const {
    return fail(0, "unpack", levels_.empty() ? name_ : levels_.front().name,
                std::format("it is not a Nix archive (NAR): {}", why));
}

}  // namespace hostside
