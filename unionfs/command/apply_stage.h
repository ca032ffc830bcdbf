// The directory in which `union apply` prepares what it then moves to its place with one rename. It is inside the directory that
// is changed, and holds a journal: an apply that was interrupted goes on from there when it is run again.
//
// Directories that the upper moved are the reason for the journal, because a move can't be read from the result. They are taken
// out of their old places first, all of them, into the stage. Everything after that gives the same result when done again.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

inline constexpr const char *apply_stage_name = ".stage1-union-apply";

// A directory that the upper moved, with paths from the root.
struct Move {
    std::string from, to;
};

class ApplyStage {
  public:
    // Makes the stage, or finds that of an interrupted run. Error: it is another user's, in use, or of another upper; or a
    // directory that is to be moved does not exist. Nothing was changed then.
    static base::Result<ApplyStage> open(int directory, std::vector<Move> moves, ino_t upper);

    base::Result<> take_out();
    [[nodiscard]] base::Result<bool> holds(size_t move) const;
    // Moves a directory that was taken out to its new place. What was there is removed.
    base::Result<> place(size_t move, int directory, const std::string &name);
    // Removes an object at any depth. No error if there is none.
    base::Result<> remove(int directory, const std::string &name);
    // Waits for the disk, and removes the stage. It gets another name first, so that an interruption leaves no doubt.
    base::Result<> finish();

    [[nodiscard]] int fd() const { return stage_.get(); }
    [[nodiscard]] bool resumed() const { return resumed_; }
    // An interrupted run had applied everything, and only left the stage.
    [[nodiscard]] bool is_complete() const { return complete_; }

  private:
    ApplyStage(int directory, std::vector<Move> moves, ino_t upper)
        : directory_(directory), moves_(std::move(moves)), upper_(upper) {}
    base::Result<> begin();
    base::Result<> check_sources() const;
    base::Result<> open_stage(const std::string &name);
    [[nodiscard]] std::string done_name() const;
    [[nodiscard]] std::string journal(const char *phase) const;
    base::Result<> write_journal(const char *phase);

    int directory_;  // borrowed
    std::vector<Move> moves_;
    ino_t upper_;
    base::Fd stage_{};
    bool resumed_ = false, taken_out_ = false, complete_ = false;
    unsigned removed_ = 0;
};

}  // namespace unionfs
