#include <sys/mman.h>

#include <catch_amalgamated.hpp>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <vector>

#include "unionfs/recovery/shared_memory.h"

using unionfs::ItemPool;

namespace {

constexpr size_t item_bytes = 96, stretch = size_t{1} << 20;

// Memory like a union's, which a successor sees in its last state.
struct Memory {
    unionfs::SharedMemory memory{};
    Memory() { REQUIRE(memory.make()); }
    [[nodiscard]] std::byte *begin() const { return memory.start() + unionfs::SharedMemory::header_bytes; }
};

void fill(void *item, unsigned char with) { std::memset(item, with, item_bytes); }

bool is_filled(const void *item, unsigned char with) {
    const auto *bytes = static_cast<const unsigned char *>(item);
    return bytes[0] == with && std::memcmp(bytes, bytes + 1, item_bytes - 1) == 0;
}

// Fills each item with a value.
using Items = std::map<std::byte *, unsigned char>;

void check_apart(const Items &items, const std::byte *begin) {
    const std::byte *end = begin;
    for (const auto &[item, with] : items) {
        REQUIRE(item >= end);
        end = item + item_bytes;
        REQUIRE(end <= begin + stretch);
        REQUIRE(is_filled(item, with));
    }
}

void take_one(ItemPool &pool, Items &items, std::mt19937 &random) {
    auto *item = static_cast<std::byte *>(pool.take());
    REQUIRE_FALSE(items.contains(item));
    const auto with = static_cast<unsigned char>(random());
    fill(item, with);
    items[item] = with;
}

void give_one(ItemPool &pool, Items &items, std::mt19937 &random) {
    auto at = items.lower_bound(std::next(items.begin(), static_cast<long>(random() % items.size()))->first);
    pool.give(at->first);
    items.erase(at);
}

}  // namespace

TEST_CASE("items of a pool are apart and keep what is in them, whatever is taken and given back, up to the last one") {
    const Memory memory;
    ItemPool pool(memory.begin(), stretch, item_bytes);
    std::mt19937 random(1);
    Items items;
    for (const unsigned takes_of_ten : {8U, 3U, 9U}) {
        for (int i = 0; i < 6000; ++i) {
            if (random() % 10 < takes_of_ten && items.size() < 8000)
                take_one(pool, items, random);
            else if (!items.empty())
                give_one(pool, items, random);
        }
        check_apart(items, memory.begin());
    }
    size_t all = items.size();
    try {
        for (;; ++all) take_one(pool, items, random);
    } catch (const std::bad_alloc &) {
        CHECK(all > stretch / item_bytes - stretch / 16384 * 2);  // a little of each chunk is unused
    }
    check_apart(items, memory.begin());
    give_one(pool, items, random);
    take_one(pool, items, random);
    CHECK_THROWS_AS(pool.take(), std::bad_alloc);
    while (!items.empty()) give_one(pool, items, random);
    for (size_t i = 0; i < all; ++i) take_one(pool, items, random);
    check_apart(items, memory.begin());
}

TEST_CASE("a successor's pool gives no item away that is in use, and takes each of the others") {
    const Memory memory;
    std::mt19937 random(2);
    Items items;
    {
        ItemPool pool(memory.begin(), stretch, item_bytes);
        for (int i = 0; i < 3000; ++i) take_one(pool, items, random);
        for (int i = 0; i < 1500; ++i) give_one(pool, items, random);
    }
    ItemPool successor(memory.begin(), stretch, item_bytes);
    Items seen;
    successor.each(items.rbegin()->first + item_bytes - memory.begin(), [&](void *place) {
        const auto known = items.find(static_cast<std::byte *>(place));
        if (known == items.end()) return;
        seen.insert(*known);
        successor.claim(place);
    });
    successor.claimed();
    REQUIRE(seen == items);
    try {
        for (;;) take_one(successor, items, random);
    } catch (const std::bad_alloc &) {
        CHECK(items.size() > stretch / item_bytes - stretch / 16384 * 2);
    }
    check_apart(items, memory.begin());
    while (!items.empty()) give_one(successor, items, random);
}
