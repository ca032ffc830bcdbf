#include "unionfs/recovery/journal.h"

namespace unionfs {

namespace {

constexpr uint64_t resent = uint64_t{1} << 63;  // FUSE_UNIQUE_RESEND, linux/fuse.h of 6.9

thread_local uint64_t request = 0;
thread_local JournalEntry *entry = nullptr;

// The kernel also sends names that no file system takes. Their requests fail, so nobody looks for them.
template <size_t size>
uint8_t copy_name(char (&to)[size], std::string_view name) {
    static_assert(size <= UINT8_MAX);
    return static_cast<uint8_t>(name.copy(to, size));
}

}  // namespace

void Journal::inherit() {
    for (size_t i = 0; i < size; ++i) {
        taken_[i] = entries_[i].unique != 0;
        entries_[i].inherited = taken_[i];
    }
}

void Journal::begin(uint64_t unique) {
    request = unique & ~resent;
    if ((unique & resent) == 0) return;
    for (size_t i = 0; i < size; ++i)
        if (entries_[i].unique == request) entry = &entries_[i];
}

void Journal::end() {
    if (entry == nullptr) return;
    entry->unique = 0;
    taken_[static_cast<size_t>(entry - entries_)].store(false, std::memory_order_release);
    entry = nullptr;
}

bool Journal::done() const { return entry != nullptr && entry->done; }

bool Journal::inherited() const { return entry != nullptr && entry->inherited; }

bool Journal::counted(SharedMemory::Reference file) const { return entry != nullptr && entry->counted && entry->file == file; }

void Journal::count(RequestKind kind, SharedMemory::Reference file, unsigned &counter, unsigned by, unsigned others) {
    JournalEntry &noted = note({.kind = kind});
    noted.counting = noted.counted = false;
    noted.file = file;
    noted.opens = counter + by + others;
    std::atomic_signal_fence(std::memory_order_release);
    noted.counting = true;
    std::atomic_signal_fence(std::memory_order_release);
    counter += by;
    std::atomic_signal_fence(std::memory_order_release);
    noted.counted = true;  // from here on, other requests may count too
}

// Always finds one: there are more entries than threads, and an inherited entry that the kernel never asked for again is
// reused.
size_t Journal::free_entry() {
    for (size_t tries = 0;; ++tries) {
        const size_t i = ++last_ % size;
        if (!taken_[i].exchange(true, std::memory_order_acquire)) return i;
        if (tries > size && entries_[i].inherited) return i;
    }
}

JournalEntry &Journal::note(const IntendedRequest &intent) {
    if (entry != nullptr) return *entry;
    JournalEntry &made = entries_[free_entry()];
    made.unique = 0;
    std::atomic_signal_fence(std::memory_order_release);
    made.kind = intent.kind;
    made.done = made.inherited = made.counting = made.counted = false;
    made.exchange = intent.exchange;
    made.existed = intent.existed;
    made.node = intent.node;
    made.other = intent.other;
    made.parent = intent.parent;
    made.new_parent = intent.new_parent;
    made.name_size = copy_name(made.name, intent.name);
    made.new_name_size = copy_name(made.new_name, intent.new_name);
    std::atomic_signal_fence(std::memory_order_release);  // complete before it counts
    made.unique = request;
    entry = &made;
    return made;
}

}  // namespace unionfs
