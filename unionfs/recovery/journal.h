// Requests in progress that must not be carried out twice. Before a worker makes a change, it notes it here, in shared memory.
// If it dies before it answers, its successor finds out on disk whether the change was made. When the kernel sends the request
// again, the successor answers it without repeating the change.
//
// One system call makes each such change visible, so it was either made or not. The kernel keeps the directories locked until
// the answer, so nobody else can have made it (linux/Documentation/filesystems/locking.rst).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "unionfs/recovery/shared_memory.h"

namespace unionfs {

enum class RequestKind : uint8_t { make, link, remove, rename, open, release, set_attribute, remove_attribute, append };

struct JournalEntry {
    std::atomic<uint64_t> unique;  // the request's first number from the kernel; 0: the entry is free
    RequestKind kind;
    bool done;  // set by a successor
    bool inherited;
    bool exchange;           // for rename
    bool existed;            // for attribute requests: it existed before the first try
    bool counting, counted;  // an open or release of `file`, for any kind
    unsigned opens;          // the total after that count
    SharedMemory::Reference file;
    SharedMemory::Reference node, other, parent, new_parent;
    uint8_t name_size, new_name_size;
    char name[255], new_name[255];

    [[nodiscard]] std::string_view old_place() const { return {name, name_size}; }
    [[nodiscard]] std::string_view new_place() const { return {new_name, new_name_size}; }
};

struct IntendedRequest {
    RequestKind kind;
    SharedMemory::Reference node = 0, parent = 0;
    std::string_view name{};
    SharedMemory::Reference other = 0, new_parent = 0;
    std::string_view new_name{};
    bool exchange = false;
    bool existed = false;
};

class Journal {
  public:
    static constexpr size_t size = 512;  // more than threads, plus what a few dead workers leave

    // `entries` points to `size` of them in shared memory. inherit() adopts those that are in use.
    explicit Journal(JournalEntry *entries) : entries_(entries) {}
    void inherit();

    // Call these when this thread begins a request, and when it has answered it.
    void begin(uint64_t unique);
    void end();

    // Whether a worker that died before it answered had done this thread's request.
    [[nodiscard]] bool done() const;
    // Whether a dead worker had begun this thread's request.
    [[nodiscard]] bool inherited() const;
    // Whether that worker had counted an open or release of this file.
    [[nodiscard]] bool counted(SharedMemory::Reference file) const;
    // Changes `counter` so that a successor can tell whether it was changed. The Node is locked. `others`: its other counter.
    void count(RequestKind kind, SharedMemory::Reference file, unsigned &counter, unsigned by, unsigned others);
    // Call this before a change that can't be repeated. A resent request keeps the entry it already has.
    JournalEntry &note(const IntendedRequest &intent);

    // Visits all entries in use. A successor settles them before it serves.
    template <class Visit>
    void each(const Visit &visit) {
        for (size_t i = 0; i < size; ++i)
            if (entries_[i].unique != 0) visit(entries_[i]);
    }

  private:
    size_t free_entry();

    JournalEntry *entries_;
    std::array<std::atomic<bool>, size> taken_{};
    std::atomic<size_t> last_ = 0;
};

}  // namespace unionfs
