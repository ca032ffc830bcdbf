#include "unionfs/base/lock_order.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace unionfs {

namespace {

constexpr size_t ranks = static_cast<size_t>(Rank::cache) + 1;
thread_local std::array<unsigned, ranks> held{};

}  // namespace

void check_lock_order(Rank rank, bool waits) {
    const auto own = static_cast<size_t>(rank);
    for (size_t other = own; other < ranks; ++other) {
        if (held[other] == 0 || (other == own && (rank == Rank::node || !waits))) continue;
        const std::string text = "unionfs: a lock of rank " + std::to_string(own) + " is wanted with one of rank " +
                                 std::to_string(other) + " in hand\n";
        (void)!::write(STDERR_FILENO, text.data(), text.size());
        std::abort();
    }
}

void note_locked(Rank rank) { ++held[static_cast<size_t>(rank)]; }
void note_unlocked(Rank rank) { --held[static_cast<size_t>(rank)]; }

}  // namespace unionfs
