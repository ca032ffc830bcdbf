// Which listings carry attributes. READDIRPLUS brings the kernel the attributes of all files that it names. Each costs a
// system call here and an inode there. ls -l, tar(1) and du(1) use them all; find(1) and rg --files use none. The kernel
// can't tell us which it will be, so each caller is learnt: now and then the files of a small directory are listed plainly,
// by name, type and number alone. If the caller looks none of them up before it reads its next directory, it gets plain
// listings from then on, until somebody looks up one of those files.
//
// This decides what a listing costs, never what it shows. It knows of directories only what it is told. Thread-safe.
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

    // `caller`, a thread's number as the kernel gives it, begins to read a directory in which so many files could be listed
    // plainly. Not 0: they should be. A run begins at a directory without subdirectories, because whoever goes through a tree
    // is done with such a one before it reads the next.
    Token begin(pid_t caller, size_t files, bool has_subdirectories);
    // Whether that is still so.
    [[nodiscard]] bool goes_on(Token token);
    // A file of a directory that was listed plainly was looked up.
    void looked_up(Token token);
    // A layer's listings have other numbers than its files: nobody gets plain ones any more.
    void stop() { stopped_ = true; }

    static constexpr unsigned first_distance = 8;  // directories with attributes before a run
    static constexpr unsigned growth = 4;          // of that distance with each run that was ended
    static constexpr size_t first_files = 64;      // at most, in the first directory

  private:
    struct Reader {
        pid_t caller = 0;
        Token token = 0;
        unsigned distance = 0, left = 0;
        size_t ignored = 0;  // plain files that nobody looked up
        size_t last = 0;     // plain files of the directory that is being read
    };
    static constexpr size_t most = 64;  // callers; one more takes another's place

    Mutex<Rank::readdir> mutex_;
    std::array<Reader, most> readers_{};
    Token tokens_ = 0;
    std::atomic<bool> stopped_ = false;
};

}  // namespace unionfs
