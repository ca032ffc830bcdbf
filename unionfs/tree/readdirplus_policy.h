// Decides which listings carry attributes. READDIRPLUS gives the kernel the attributes of all files that it lists. Each file
// costs a system call here and an inode in the kernel. ls -l, tar(1) and du(1) use them all; find(1) and rg --files use none.
// The kernel can't tell which it will be, so this learns it for each caller. Now and then, the files of a small directory are
// listed plainly: name, type and number only. If the caller looks up none of them before it reads its next directory, it gets
// plain listings from then on, until someone looks up one of those files.
//
// This decides what a listing costs, never what it shows. It knows about directories only what its callers tell it.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "unionfs/base/lock_order.h"

namespace unionfs {

class ReaddirplusPolicy {
  public:
    using Token = uint32_t;  // a caller's run of plain listings, which a LOOKUP ends; 0: none

    // Call this when `caller` (a thread's number from the kernel) begins to read a directory with `files` files that could be
    // listed plainly. If the result is not 0, list them plainly. A run starts at a directory without subdirectories, because a
    // program that walks a tree finishes such a directory before it reads the next one.
    Token begin(pid_t caller, size_t files, bool has_subdirectories);
    // Whether the run still goes on.
    [[nodiscard]] bool goes_on(Token token);
    // Someone looked up a file of a plainly listed directory.
    void looked_up(Token token);
    // Stops plain listings for everyone, because a layer's listings have different numbers than its files.
    void stop() { stopped_ = true; }

    static constexpr unsigned first_distance = 8;  // directories listed with attributes before a run
    static constexpr unsigned growth = 4;          // factor for that distance after each run that ended
    static constexpr size_t first_files = 64;      // limit for the first directory of a run

  private:
    struct Reader {
        pid_t caller = 0;
        Token token = 0;
        unsigned distance = 0, left = 0;
        size_t ignored = 0;  // plain files that nobody looked up
        size_t last = 0;     // plain files of the current directory
    };
    static constexpr size_t most = 64;  // callers; one more replaces another

    Mutex<Rank::readdir> mutex_;
    std::array<Reader, most> readers_{};
    Token tokens_ = 0;
    std::atomic<bool> stopped_ = false;
};

}  // namespace unionfs
