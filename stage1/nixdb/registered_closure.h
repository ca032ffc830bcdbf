// A registration in memory: the paths, their references and their positions in the text, but not the text itself. It is read
// and checked before a database is touched. Memory: 32 bytes and one index slot per path, and four bytes per reference.
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
        uint64_t hash_part;  // the first eight characters of the hash part, as a number that sorts like them
        uint64_t content;    // content_of() of its hash and size; 0: the registration does not have the hash
        uint32_t offset;     // in the text
        uint32_t number;     // number of its path
        uint32_t first_reference;
        uint32_t references : 31;
        uint32_t size_known : 1;
    };

    // `fd`, of a regular file, is borrowed during the closure's lifetime. If a path is repeated, the last entry counts, as in
    // Nix. Error: a bad line, with its number; a cycle of references.
    static base::Result<RegisteredClosure> read(int fd, std::string name);

    // Sorted by path, which is the order in which Nix inserts them.
    [[nodiscard]] const std::vector<Entry> &entries() const { return entries_; }
    // Numbers of paths, including unregistered ones; each once, in no particular order.
    [[nodiscard]] std::span<const uint32_t> references(const Entry &entry) const {
        return std::span(references_).subspan(entry.first_reference, entry.references);
    }
    [[nodiscard]] const PathIndex &paths() const { return paths_; }
    // The position in entries() of the path with this number, from 1; 0: not registered.
    [[nodiscard]] uint32_t rank(uint32_t number) const { return ranks_[number]; }
    [[nodiscard]] bool registers(std::string_view path) const;

    // Reads everything but the references from the text. `reader` must be from this closure.
    base::Result<> read_header(mounts::RegistrationReader &reader, const Entry &entry, mounts::PathInfo &info) const;
    [[nodiscard]] mounts::RegistrationReader reader() const { return {fd_, name_}; }

    // Error: names the first reference in the text that is neither registered nor, by its number, in `known`.
    [[nodiscard]] base::Result<> refuse_unknown_references(const std::vector<bool> &known) const;

    // A value to compare hashes and sizes by; never 0.
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
