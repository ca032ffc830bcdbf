// Finds a name in the chain of a Node that has many. A file may have tens of thousands of hard links, and no lookup may walk
// past them all. Only the worker has this index; a successor rebuilds it. If a method throws std::bad_alloc, drop the index.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "unionfs/tree/name_pool.h"

namespace unionfs {

class NameIndex {
  public:
    using Reference = SharedMemory::Reference;

    explicit NameIndex(const NamePool &names) : before_(0, Hash{&names}, Equal{&names}) {}

    // 0: there is no such name. `before`: the name before it in the chain; 0: it is the first.
    Reference find(Reference parent, std::string_view text, Reference &before) const {
        const auto found = before_.find(Wanted{parent, text});
        before = found == before_.end() ? 0 : found->second;
        return found == before_.end() ? 0 : found->first;
    }
    [[nodiscard]] Reference last() const { return last_; }
    [[nodiscard]] size_t size() const { return before_.size(); }

    void append(Reference name) {
        before_.emplace(name, last_);
        last_ = name;
    }
    // Call this while the name can still be read. `next`: the name after it, or 0.
    void remove(Reference name, Reference next) {
        const auto found = before_.find(name);
        const Reference before = found->second;
        before_.erase(found);
        lead_to(next, before);
    }
    void replace(Reference name, Reference by, Reference next) {
        const auto found = before_.find(name);
        const Reference before = found->second;
        before_.erase(found);
        before_.emplace(by, before);
        lead_to(next, by);
    }

  private:
    struct Wanted {
        Reference parent;
        std::string_view text;
    };
    struct Compared {
        using is_transparent = void;
        const NamePool *names;
        [[nodiscard]] Wanted wanted(Reference name) const { return {names->at(name)->parent, names->at(name)->text()}; }
        static Wanted wanted(const Wanted &name) { return {name.parent, name.text}; }
    };
    struct Hash : Compared {
        size_t operator()(const auto &name) const {
            const Wanted key = wanted(name);
            return std::hash<std::string_view>()(key.text) ^ (key.parent * 0x9E3779B97F4A7C15ULL);
        }
    };
    struct Equal : Compared {
        bool operator()(const auto &one, const auto &other) const {
            const Wanted left = wanted(one), right = wanted(other);
            return left.parent == right.parent && left.text == right.text;
        }
    };

    void lead_to(Reference next, Reference before) {
        if (next == 0)
            last_ = before;
        else
            before_.find(next)->second = before;
    }

    std::unordered_map<Reference, Reference, Hash, Equal> before_;
    Reference last_ = 0;
};

}  // namespace unionfs
