// The branches of one union as they lie on disk: the lowers, the upper and its workdir, opened and checked. Knows nothing of
// what is served from them. Functions return 0 or an errno unless they say otherwise. Thread-safe once open() returned.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "unionfs/base/fd_cache.h"
#include "unionfs/base/options.h"
#include "unionfs/upper/marks.h"

namespace unionfs {

// The identity of a file beneath: device and inode number.
struct Key {
    dev_t device = 0;
    ino_t inode = 0;

    bool operator==(const Key &) const = default;
};

inline Key key_of(const struct stat &status) { return {status.st_dev, status.st_ino}; }

// A copy of a lower object that lies whole in the work directory and has yet to come to its name.
struct StagedCopy {
    std::string entry{};  // its name there
    base::Fd file{};      // of a regular file: open for reading and writing
    Key key{};
};

struct Layers {
    explicit Layers(Options given) : options(std::move(given)) {}

    Options options;
    std::vector<FdRef> lowers;   // O_PATH, the topmost first
    FdRef upper;                 // O_PATH; null: read-only
    FdRef work;                  // the directory `work` in the workdir
    FdRef links;                 // the directory `links` there (hard_links.h)
    std::vector<dev_t> devices;  // of the layers; a position in it goes into st_ino
    dev_t own_device = 0;        // of the union, once it is mounted
    std::vector<Key> own;        // the upper and the workdir
    Marks marks;
    bool marked_whiteouts = false;  // a whiteout is an attribute of an empty file, because the upper takes no device
    bool privileged = false;        // may give files away: files are made as the caller

    // Checks the whole stack. Every error is found here, before anything is mounted.
    base::Result<> open();

    [[nodiscard]] ino_t number_of(const Key &key) const;  // the st_ino that is shown
    // Whether a directory of a layer is the union itself, or of its own.
    [[nodiscard]] bool leads_back(const struct stat &directory) const;
    // Whether no lower has a file of that number at `path` (with a leading slash). False if that can't be found out.
    [[nodiscard]] bool is_gone(const std::string &path, ino_t number) const;

    // --- in the work directory (workdir.cc) ---
    std::string work_name();                      // one that is free
    void discard(const std::string &work_entry);  // a tree
    // Of a removed object that is still in use, by its inode.
    static std::string orphan_entry(ino_t inode) { return "orphan-" + std::to_string(inode); }
    void clean_work(const std::vector<ino_t> &orphans = {});  // all but those

    // --- whiteout.cc ---
    int make_whiteout(int dir, const std::string &name);
    int replace_by_whiteout(int dir, const std::string &name, bool directory);  // atomic

    // --- copy.cc ---
    // `source`: a regular file's data, else invalid; then (from_dir, from_name) is the object. `size`: no more is copied.
    // `origin`: what it keeps as overlay.unionfs.ino.
    int stage_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                   const std::string &origin, StagedCopy &made);
    // A directory with the attributes of another, empty.
    int stage_directory(int from_dir, const struct stat &status, StagedCopy &made);

  private:
    int fill_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                  const std::string &origin, StagedCopy &made) const;

    std::atomic<uint64_t> next_work_name_ = 0;
};

// Owner, times, mode and attributes of one object onto another; no marks among the attributes. `made`: what the other was
// before.
int copy_attributes(int from_dir, const char *from, int to_dir, const char *to, const struct stat &status, const Marks &marks,
                    struct stat &made);

}  // namespace unionfs
