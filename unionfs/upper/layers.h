// The branches of one union on disk: the lowers, the upper and its workdir, opened and checked. This file knows nothing about
// serving them. Functions return 0 or an errno unless they say otherwise. Thread-safe once open() returned.
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

// The identity of a file in a layer: device and inode number.
struct Key {
    dev_t device = 0;
    ino_t inode = 0;

    bool operator==(const Key &) const = default;
};

inline Key key_of(const struct stat &status) { return {status.st_dev, status.st_ino}; }

// A complete copy of a lower object in the work directory, which has not been moved to its name yet.
struct StagedCopy {
    std::string entry{};  // its name in the work directory
    base::Fd file{};      // for a regular file: open for reading and writing
    Key key{};
};

struct Layers {
    explicit Layers(Options given) : options(std::move(given)) {}

    Options options;
    std::vector<FdRef> lowers;   // O_PATH, topmost first
    FdRef upper;                 // O_PATH; null: read-only
    base::Fd locked;             // the upper's descriptor that has the lock
    FdRef work;                  // the workdir's directory `work`
    FdRef links;                 // the workdir's directory `links` (hard_links.h)
    std::vector<dev_t> devices;  // of the layers; the index is part of st_ino
    dev_t own_device = 0;        // the union's own, once it is mounted
    std::vector<Key> own;        // the upper and the workdir
    Marks marks;
    bool marked_whiteouts = false;  // whiteouts are empty files with an attribute, because the upper takes no device
    bool privileged = false;        // may change owners; files get the caller's

    // Checks the whole stack. Every error is found here, before anything is mounted.
    base::Result<> open();

    [[nodiscard]] ino_t number_of(const Key &key) const;  // the visible st_ino
    // Whether a layer's directory is the union itself, its upper or its workdir.
    [[nodiscard]] bool leads_back(const struct stat &directory) const;
    // Whether no lower has a file with that number at `path` (with a leading slash). False if it can't tell.
    [[nodiscard]] bool is_gone(const std::string &path, ino_t number) const;

    // --- in the work directory (workdir.cc) ---
    std::string work_name();                      // an unused name
    void discard(const std::string &work_entry);  // removes a tree
    // The name of a removed object that is still in use.
    static std::string orphan_entry(ino_t inode) { return "orphan-" + std::to_string(inode); }
    static constexpr const char *shared_whiteout = "whiteout";  // all whiteouts are links to it
    void clean_work(std::vector<std::string> kept = {});        // removes all other entries

    // --- whiteout.cc ---
    int make_whiteout(int dir, const std::string &name);
    int replace_by_whiteout(int dir, const std::string &name, bool directory);  // atomic

    // --- copy.cc ---
    // `source`: open if the object is a regular file; otherwise (from_dir, from_name) is the object. `size`: copy at most this
    // much. `origin`: the value of its overlay.unionfs.ino.
    int stage_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                   const std::string &origin, StagedCopy &made);
    // Makes an empty directory with the attributes of another one.
    int stage_directory(int from_dir, const struct stat &status, StagedCopy &made);

  private:
    int fill_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                  const std::string &origin, StagedCopy &made) const;

    std::atomic<uint64_t> next_work_name_ = 0;
};

// Copies owner, times, mode and extended attributes, except marks, from one object to another. `made` receives the target's old
// status.
int copy_attributes(int from_dir, const char *from, int to_dir, const char *to, const struct stat &status, const Marks &marks,
                    struct stat &made);

}  // namespace unionfs
