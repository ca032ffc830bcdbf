// Who reads folders without a look at the files in them. A listing brings the kernel the attributes of all that it names
// (READDIRPLUS), and each costs a system call here and an inode there. ls -l, tar(1) and du(1) use them all; find(1) and
// rg --files none. The kernel can't tell which it will be, so each caller is learnt: now and then the files of a small folder are
// listed bare, by name, type and number alone. If none is looked up before the caller reads its next folder, it gets bare
// files from then on, until one of them is looked up, by whomever.
//
// It decides what a listing costs, never what it shows, and knows of folders only what it is told. Thread-safe.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "unionfs/base/lock_order.h"

namespace unionfs {

class Walks {
  public:
    using Trial = uint32_t;  // a caller's, from its first bare folder to a LOOKUP; 0: none

    // `caller`, a thread's number as the kernel gives it, begins to read a folder of so many files that could be listed bare.
    // Not 0: they should be. A trial begins at a folder without subfolders: whoever goes through a tree is done with it
    // before the next.
    Trial begin(pid_t caller, size_t files, bool has_subfolders);
    // Whether that is still so.
    [[nodiscard]] bool goes_on(Trial trial);
    // A file of a folder that was listed bare was looked up.
    void looked_up(Trial trial);
    // A layer whose listings have other numbers than its files: nobody gets bare ones.
    void stop() { stopped_ = true; }

    static constexpr unsigned first_distance = 8;  // folders with attributes before a trial
    static constexpr unsigned growth = 4;          // of that distance with each trial that failed
    static constexpr size_t first_files = 64;      // at most, in the first folder

  private:
    struct Walk {
        pid_t caller = 0;
        Trial trial = 0;
        unsigned distance = 0, left = 0;
        size_t ignored = 0;  // bare files that nobody looked up
        size_t last = 0;     // bare files of the folder that is being read
    };
    static constexpr size_t most = 64;  // walks; one more takes another's place

    Mutex<Rank::readdir> mutex_;
    std::array<Walk, most> walks_{};
    Trial trials_ = 0;
    std::atomic<bool> stopped_ = false;
};

}  // namespace unionfs
