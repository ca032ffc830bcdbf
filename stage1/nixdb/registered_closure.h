// What a registration says, in memory: which paths, which refers to which, where in the text each stands; not the texts.
// It is read, and found good or bad, before a database is touched.
// Memory: 32 bytes a path, a slot of the index a path, four bytes a reference.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/registration.h"
#include "stage1/nixdb/path_index.h"

namespace stage1::nixdb {

class RegisteredClosure {
  public:
    struct Entry {
        uint64_t hash_part;  // its first eight characters, as a number that sorts as they do
        uint64_t content;    // what content_of() says of its hash and size; 0: the registration does not know the hash
        uint32_t offset;     // in the text
        uint32_t number;     // its path's
        uint32_t first_reference;
        uint32_t references : 31;
        uint32_t size_known : 1;
    };

    // `fd`, of a regular file, is borrowed for as long as the closure lives. A path that stands there twice is what it
    // was the last time, as in Nix. Errors: a bad line, with its number; a cycle of references.
    static base::Result<RegisteredClosure> read(int fd, std::string name);

    // In the order of their paths, which is the one that Nix inserts them in.
    [[nodiscard]] const std::vector<Entry> &entries() const { return entries_; }
    // Numbers of paths, also of such as are only referred to; each once, in no order that means anything.
    [[nodiscard]] std::span<const uint32_t> references(const Entry &entry) const {
        return std::span(references_).subspan(entry.first_reference, entry.references);
    }
    [[nodiscard]] const PathIndex &paths() const { return paths_; }
    // The place in entries() of the path with this number, from 1; 0: it has none.
    [[nodiscard]] uint32_t rank(uint32_t number) const { return ranks_[number]; }
    [[nodiscard]] bool registers(std::string_view path) const;

    // All but its references, from the text. `reader` is one of this closure's.
    base::Result<> read_header(mounts::RegistrationReader &reader, const Entry &entry, mounts::PathInfo &info) const;
    [[nodiscard]] mounts::RegistrationReader reader() const { return {fd_, name_}; }

    // Names the first reference in the text that is neither registered nor, by its number, known otherwise.
    [[nodiscard]] base::Result<> refuse_unknown_references(const std::vector<bool> &known) const;

    // What a hash and a size are compared by; never 0.
    static uint64_t content_of(const mounts::Sha256 &hash, uint64_t nar_size);

  private:
    RegisteredClosure(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    base::Result<> read_entries();
    base::Result<> read_references(mounts::RegistrationReader &text, const Entry &entry);
    base::Result<> sort();
    base::Result<> sort_equals(std::span<Entry> equals);
    base::Result<> refuse_cycle() const;

    int fd_;
    std::string name_;
    PathIndex paths_;
    std::vector<Entry> entries_;
    std::vector<uint32_t> references_;
    std::vector<uint32_t> ranks_;  // by number
};

}  // namespace stage1::nixdb
