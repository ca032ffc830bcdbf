#include "unionfs/recovery/journal.h"

#include <atomic>
#include <catch_amalgamated.hpp>
#include <format>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using unionfs::Journal;
using unionfs::JournalEntry;
using unionfs::RequestKind;

namespace {

constexpr uint64_t resent = uint64_t{1} << 63;

// The shared memory starts as zeros.
std::unique_ptr<JournalEntry[]> no_entries() { return std::make_unique<JournalEntry[]>(Journal::size); }

// A worker's thread that ends like a killed worker: without answering.
void in_thread(const auto &body) { std::thread(body).join(); }

size_t in_use(Journal &journal) {
    size_t count = 0;
    journal.each([&](const JournalEntry &) { ++count; });
    return count;
}

}  // namespace

TEST_CASE("what a worker noted before it died its successor finds whole, and answers once to whoever asks again") {
    const auto entries = no_entries();
    Journal worker(entries.get());
    const std::string longest(255, 'n');
    in_thread([&] {
        worker.begin(7);
        worker.note({.kind = RequestKind::rename,
                     .node = 1,
                     .parent = 2,
                     .name = "from",
                     .other = 3,
                     .new_parent = 4,
                     .new_name = longest,
                     .exchange = true});
    });
    in_thread([&] {
        worker.begin(8);
        worker.note({.kind = RequestKind::remove, .node = 5, .name = "gone"});
        worker.end();
    });
    Journal successor(entries.get());
    successor.inherit();
    REQUIRE(in_use(successor) == 1);
    successor.each([&](JournalEntry &entry) {
        CHECK(entry.kind == RequestKind::rename);
        CHECK(entry.old_place() == "from");
        CHECK(entry.new_place() == longest);
        CHECK(entry.node + entry.parent + entry.other + entry.new_parent == 10);
        CHECK(entry.exchange);
        CHECK_FALSE(entry.done);
        entry.done = true;
    });
    // The number alone does not identify it, because the kernel may reuse one.
    for (const uint64_t unique : {uint64_t{7}, 8 | resent, 9 | resent})
        in_thread([&] {
            successor.begin(unique);
            CHECK_FALSE(successor.inherited());
            CHECK_FALSE(successor.done());
            successor.end();
        });
    in_thread([&] {
        successor.begin(7 | resent);
        CHECK(successor.inherited());
        CHECK(successor.done());
        CHECK(successor.note({.kind = RequestKind::make, .name = "other"}).old_place() == "from");
        successor.end();
        CHECK_FALSE(successor.done());
    });
    CHECK(in_use(successor) == 0);
}

TEST_CASE("requests of many threads never have one entry, though a dead worker's fill most of the journal") {
    const auto entries = no_entries();
    Journal worker(entries.get());
    constexpr uint64_t dead = Journal::size - 8;
    for (uint64_t unique = 1; unique <= dead; ++unique)
        in_thread([&] {
            worker.begin(unique);
            worker.note({.kind = RequestKind::make, .name = "left"});
        });
    Journal successor(entries.get());
    successor.inherit();
    REQUIRE(in_use(successor) == dead);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 12; ++t)
        threads.emplace_back([&, t] {
            for (uint64_t i = 0; i < 200; ++i) {
                const uint64_t unique = 1'000'000 + t * 10'000 + i;
                const std::string name = std::to_string(unique);
                successor.begin(unique);
                const JournalEntry &noted =
                    successor.note({.kind = RequestKind::make, .node = static_cast<uint32_t>(unique), .name = name});
                std::this_thread::yield();
                if (noted.unique != unique || noted.node != unique || noted.old_place() != name || noted.inherited) ++wrong;
                successor.end();
            }
        });
    for (auto &thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(in_use(successor) <= dead);
    successor.each([](const JournalEntry &entry) { CHECK(entry.old_place() == "left"); });
}

TEST_CASE("an open that was counted before the worker died is told from one that was not") {
    const auto entries = no_entries();
    unsigned opens = 2;
    {
        Journal worker(entries.get());
        in_thread([&] {
            worker.begin(3);
            worker.count(RequestKind::open, 77, opens, 1, 4);
        });
    }
    CHECK(opens == 3);
    Journal successor(entries.get());
    successor.inherit();
    successor.each([](const JournalEntry &entry) { CHECK((entry.counting && entry.counted && entry.opens == 7)); });
    in_thread([&] {
        successor.begin(3 | resent);
        CHECK(successor.counted(77));
        CHECK_FALSE(successor.counted(78));
        successor.end();
        CHECK_FALSE(successor.counted(77));
    });
}
