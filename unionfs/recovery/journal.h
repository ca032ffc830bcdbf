// Which requests are being carried out that must not be carried out twice. A worker notes here, in the shared memory,
// what it is about to do; when it dies before it answered, its successor finds out on disk whether that was done, and
// when the kernel sends the request again it is answered instead of repeated.
//
// One system call makes each such change visible, so it was done or not; the kernel holds the directories locked until the
// answer, so nobody else can have done it (linux/Documentation/filesystems/locking.rst).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "unionfs/recovery/shared_memory.h"

namespace unionfs {

enum class RequestKind : uint8_t { make, link, remove, rename, open, release, set_attribute, remove_attribute };

struct JournalEntry {
    std::atomic<uint64_t> unique;  // of the request, as the kernel numbered it first; 0: the entry is free
    RequestKind kind;
    bool done;  // found out by a successor
    bool inherited;
    bool exchange;           // of rename
    bool existed;            // of the attribute requests: before the first try
    bool counting, counted;  // an open or release of `file`, whatever the kind
    unsigned opens;          // what that count leaves
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
    static constexpr size_t size = 512;  // more than threads, by what a few dead workers leave

    // `entries`: `size` of them in the shared memory. What is in use there is inherited.
    explicit Journal(JournalEntry *entries) : entries_(entries) {}
    void inherit();

    // This thread begins a request, and has answered it.
    void begin(uint64_t unique);
    void end();

    // Whether this thread's request was done by a worker that died before it answered.
    [[nodiscard]] bool done() const;
    // Whether a dead worker had begun this thread's request.
    [[nodiscard]] bool inherited() const;
    // Whether that worker had counted an open or release of this file.
    [[nodiscard]] bool counted(SharedMemory::Reference file) const;
    // Counts one, so that a successor can tell whether it was counted. The Node is locked; `others`: its other counter.
    void count(RequestKind kind, SharedMemory::Reference file, unsigned &counter, unsigned by, unsigned others);
    // Called before a change that can't be repeated. A resent request keeps the entry that it has already.
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
