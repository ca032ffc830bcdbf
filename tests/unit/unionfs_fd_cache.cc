#include "unionfs/base/fd_cache.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <list>
#include <map>
#include <random>
#include <vector>

using unionfs::FdCache;
using unionfs::FdRef;

namespace {

struct File {
    base::Fd fd;
    ino_t inode;
};

File new_file() {
    base::Fd fd(::memfd_create("cached", MFD_CLOEXEC));
    struct stat status{};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    return {std::move(fd), status.st_ino};
}

ino_t inode_of(const FdRef &file) {
    struct stat status{};
    return file && ::fstat(file->get(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

TEST_CASE("a cache of descriptors has what was used last, and no more, after any puts, gets and drops") {
    constexpr size_t limit = 5, slot_count = 12;
    std::mt19937 random(1);
    std::vector<FdCache::Slot> slots(slot_count);
    FdCache cache(limit);
    std::list<size_t> used;          // most recent first
    std::map<size_t, ino_t> filled;  // by slot
    std::map<ino_t, FdRef> held;     // descriptors that are still in use
    const auto forget = [&](size_t slot) {
        used.remove(slot);
        filled.erase(slot);
    };
    const auto use = [&](size_t slot) {
        used.remove(slot);
        used.push_front(slot);
    };
    for (int i = 0; i < 20'000; ++i) {
        const size_t slot = random() % slot_count;
        switch (random() % 4) {
        case 0: {
            File file = new_file();
            const FdRef put = cache.put(slots[slot], std::move(file.fd));
            if (!filled.contains(slot)) {
                if (used.size() == limit) forget(used.back());
                use(slot);
                filled[slot] = file.inode;
            }
            // Otherwise the earlier descriptor stays in its place, and the new one is closed.
            REQUIRE(inode_of(put) == filled[slot]);
            if (random() % 8 == 0) held[filled[slot]] = put;
            break;
        }
        case 1:
            cache.drop(slots[slot]);
            forget(slot);
            break;
        default: {
            const FdRef got = cache.get(slots[slot]);
            REQUIRE(inode_of(got) == (filled.contains(slot) ? filled[slot] : 0));
            if (got) use(slot);
        }
        }
        if (random() % 64 == 0) held.clear();
    }
    for (const auto &[inode, file] : held) CHECK(inode_of(file) == inode);
    // Only the cache's descriptors are open.
    std::vector<std::weak_ptr<const base::Fd>> left;
    held.clear();
    for (auto &slot : slots)
        if (slot.file) left.emplace_back(slot.file);
    CHECK(left.size() == used.size());
    for (auto &slot : slots) cache.drop(slot);
    CHECK(std::ranges::all_of(left, [](const auto &file) { return file.expired(); }));
}
