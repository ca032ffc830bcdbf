#include "stage1/nixdb/registered_closure.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <tuple>

#include "stage1/nixdb/fingerprint.h"

namespace stage1::nixdb {

namespace {

constexpr size_t hash_part_begin = 11;         // the length of /nix/store/
constexpr size_t least_reference_bytes = 46;   // /nix/store/, 32 characters, a dash, a letter, a newline
constexpr size_t lines_before_references = 5;  // path, hash, size, deriver, count
constexpr uint32_t superseded = std::numeric_limits<uint32_t>::max();

uint64_t sort_key(std::string_view path) {
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof key; ++i) key = key << 8 | static_cast<unsigned char>(path[hash_part_begin + i]);
    return key;
}

bool known(const mounts::Sha256 &hash) {
    return std::ranges::any_of(hash, [](unsigned char byte) { return byte != 0; });
}

}  // namespace

uint64_t RegisteredClosure::content_of(const mounts::Sha256 &hash, uint64_t nar_size) {
    std::string bytes(hash.begin(), hash.end());
    bytes.append(reinterpret_cast<const char *>(&nar_size), sizeof nar_size);
    return fingerprint(bytes).high | 1;
}

base::Result<RegisteredClosure> RegisteredClosure::read(int fd, std::string name) {
    struct stat st{};
    if (::fstat(fd, &st) < 0) return base::fail(errno, "stat", name);
    if (!S_ISREG(st.st_mode)) return base::fail(0, "register", name, "the registration must be a regular file");
    if (st.st_size > std::numeric_limits<uint32_t>::max())
        return base::fail(EFBIG, "register", name, "4 GiB and more is not the registration of a closure");
    RegisteredClosure closure(fd, std::move(name));
    // An upper bound. Untouched memory costs nothing, but growing would copy.
    closure.references_.reserve(static_cast<size_t>(st.st_size) / least_reference_bytes);
    return closure.read_entries()
        .and_then([&] { return closure.sort(); })
        .and_then([&] { return closure.refuse_cycle(); })
        .transform([&] { return std::move(closure); });
}

base::Result<> RegisteredClosure::read_entries() {
    auto text = reader();
    mounts::PathInfo info;
    for (;;) {
        const auto offset = static_cast<uint32_t>(text.offset());
        const auto more = text.header(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) break;
        Entry entry{.hash_part = sort_key(info.path),
                    .content = known(info.hash) ? content_of(info.hash, info.nar_size) : 0,
                    .offset = offset,
                    .number = paths_.of(info.path),
                    .first_reference = static_cast<uint32_t>(references_.size()),
                    .size_known = info.nar_size != 0};
        if (auto read = read_references(text, entry); !read) return read;
        entry.references = static_cast<uint32_t>(references_.size() - entry.first_reference) & 0x7fffffff;
        ranks_.resize(paths_.size());
        if (const uint32_t earlier = ranks_[entry.number]; earlier != 0) entries_[earlier - 1].number = superseded;
        entries_.push_back(entry);
        ranks_[entry.number] = static_cast<uint32_t>(entries_.size());
    }
    std::erase_if(entries_, [](const Entry &entry) { return entry.number == superseded; });
    return {};
}

base::Result<> RegisteredClosure::read_references(mounts::RegistrationReader &text, const Entry &entry) {
    while (text.references_left() != 0) {
        const auto reference = text.reference();
        if (!reference) return std::unexpected(reference.error());
        references_.push_back(paths_.of(*reference));
    }
    const auto own = std::ranges::subrange(references_.begin() + entry.first_reference, references_.end());
    std::ranges::sort(own);
    references_.erase(std::ranges::unique(own).begin(), references_.end());
    return {};
}

base::Result<> RegisteredClosure::sort() {
    const auto key = [](const Entry &entry) { return std::tuple(entry.hash_part, entry.offset); };
    if (!std::ranges::is_sorted(entries_, {}, key)) std::ranges::sort(entries_, {}, key);
    for (size_t begin = 0; begin < entries_.size();) {
        size_t end = begin + 1;
        while (end < entries_.size() && entries_[end].hash_part == entries_[begin].hash_part) ++end;
        if (end - begin > 1)
            if (auto sorted = sort_equals(std::span(entries_).subspan(begin, end - begin)); !sorted) return sorted;
        begin = end;
    }
    for (uint32_t i = 0; i < entries_.size(); ++i) ranks_[entries_[i].number] = i + 1;
    return {};
}

// Sorts paths whose first characters are equal, using their full text.
base::Result<> RegisteredClosure::sort_equals(std::span<Entry> equals) {
    auto text = reader();
    mounts::PathInfo info;
    std::vector<std::pair<std::string, Entry>> named;
    for (const Entry &entry : equals) {
        if (auto read = read_header(text, entry, info); !read) return read;
        named.emplace_back(info.path, entry);
    }
    std::ranges::sort(named, {}, &std::pair<std::string, Entry>::first);
    std::ranges::transform(named, equals.begin(), &std::pair<std::string, Entry>::second);
    return {};
}

base::Result<> RegisteredClosure::read_header(mounts::RegistrationReader &reader, const Entry &entry,
                                              mounts::PathInfo &info) const {
    reader.seek(entry.offset);
    const auto there = reader.header(info);
    if (!there) return std::unexpected(there.error());
    if (!*there) return base::fail(0, "register", name_, "the registration was truncated while it was read");
    return {};
}

bool RegisteredClosure::registers(std::string_view path) const {
    const auto number = paths_.find(path);
    return number && ranks_[*number] != 0;
}

// Removes paths without referrers, again and again (Kahn's algorithm). The remaining paths are in or below a cycle.
base::Result<> RegisteredClosure::refuse_cycle() const {
    std::vector<uint32_t> referrers(ranks_.size());  // by number
    for (const Entry &entry : entries_)
        for (const uint32_t reference : references(entry))
            if (reference != entry.number && ranks_[reference] != 0) ++referrers[reference];
    std::vector<uint32_t> ready;  // ranks
    for (const Entry &entry : entries_)
        if (referrers[entry.number] == 0) ready.push_back(ranks_[entry.number]);
    size_t done = 0;
    while (!ready.empty()) {
        const Entry &entry = entries_[ready.back() - 1];
        ready.pop_back();
        ++done;
        for (const uint32_t reference : references(entry))
            if (reference != entry.number && ranks_[reference] != 0 && --referrers[reference] == 0)
                ready.push_back(ranks_[reference]);
    }
    if (done == entries_.size()) return {};
    const auto left = std::ranges::find_if(entries_, [&](const Entry &entry) { return referrers[entry.number] != 0; });
    auto text = reader();
    mounts::PathInfo info;
    if (auto read = read_header(text, *left, info); !read) return read;
    return base::fail(0, "register", info.path, "it is in a cycle of references, or below one; no store has that");
}

base::Result<> RegisteredClosure::refuse_unknown_references(const std::vector<bool> &known) const {
    const auto unknown = [&](uint32_t number) { return ranks_[number] == 0 && !known[number]; };
    if (std::ranges::none_of(entries_, [&](const Entry &entry) { return std::ranges::any_of(references(entry), unknown); }))
        return {};
    auto text = reader();
    mounts::PathInfo info;
    for (;;) {
        const auto more = text.next(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) return {};
        for (size_t i = 0; i < info.references.size(); ++i)
            if (unknown(paths_.find(info.references[i]).value()))
                return base::fail(0, "register", name_,
                                  "line " + std::to_string(info.line + lines_before_references + i) + ": reference '" +
                                      info.references[i] + "' of '" + info.path +
                                      "' is neither registered here nor in the database");
    }
}

}  // namespace stage1::nixdb
