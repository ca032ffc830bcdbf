// The index of copied-up files that have several names (hard links). A name moves to the upper when it is looked up. While some
// names have not moved, the copy has one extra name in the workdir's directory `links`. The remaining names find the copy
// there, in this mount and in later ones. overlayfs has its own index (overlayfs.rst, "Inode properties"), keyed by file
// handles. A lower on 9p has no file handles, so this index is keyed by st_ino. overlayfs doesn't read it; it shows only the
// names that are in the upper.
//
// On disk, links/N is the copy, and N is the visible st_ino in decimal. Its overlay.unionfs.origin is the lower name that was
// copied, as a path from the layer's root. It tells whether the copy still belongs to the lowers after these changed. Its
// overlay.unionfs.names counts its names in the union: "=3" means three, "-1" means one fewer than its links on disk. There are
// two forms so that each change of a name is a single step: "=3" stays true when a name moves to the upper, and "-1" stays true
// when a name is made or removed.
//
// Names of a file that was never copied up can be removed too. Each one is noted in links/removed before its whiteout is made,
// as "N PATH" and a zero byte. A note counts only if that path of the lower is in fact hidden.
#pragma once

#include <sys/types.h>

#include <string>
#include <unordered_map>

#include "unionfs/base/lock_order.h"
#include "unionfs/upper/layers.h"

namespace unionfs {

class HardLinks {
  public:
    explicit HardLinks(Layers &layers) : layers_(layers) {}

    // Reads the index from the workdir, at mount time or when a successor starts.
    void load();

    // The inode number of the copy, or 0. Thread-safe.
    ino_t find(ino_t number);
    void add(ino_t number, ino_t inode);

    // The number of removed names of a lower file. Thread-safe.
    int removed(ino_t number);
    void note_removal(ino_t number, const std::string &path);
    void count_removal(ino_t number);

    static std::string name_of(ino_t number) { return std::to_string(number); }

    // --- operations on one copy; the caller has locked its Node ---
    // Marks a copy that is still in the work directory. `path` is its lower name, `left` the number of its names. Returns false
    // if it can't be marked, because user.* works on files only. Its other names are then separate files after a remount.
    [[nodiscard]] bool mark(const std::string &work_entry, const std::string &path, long left) const;
    // The number of names in the union of a copy with `on_disk` links. `on_disk` includes the link in the index.
    [[nodiscard]] nlink_t count_names(ino_t number, nlink_t on_disk) const;
    // Call this before a name moves to the upper. (dir, name) is the copy.
    [[nodiscard]] int count_absolutely(ino_t number, int dir, const std::string &name, nlink_t on_disk) const;
    // Call this before a link is made or removed.
    [[nodiscard]] int count_by_links(ino_t number) const;
    // Whether a copy no longer needs its index entry: all its names are in the upper, or it has none. Call this after a change
    // of names. `left` receives the number of names.
    [[nodiscard]] bool is_needless(ino_t number, nlink_t &left) const;
    // `orphan`: the name in the work directory that the entry moves to, if any.
    void remove(ino_t number, const std::string &orphan = {});

  private:
    void load_removals();
    [[nodiscard]] int set_text(int dir, const std::string &name, const char *attribute, const std::string &text) const;
    [[nodiscard]] nlink_t names_of(const std::string &entry, nlink_t on_disk) const;

    Layers &layers_;
    Mutex<Rank::hard_links> mutex_;
    std::unordered_map<ino_t, ino_t> copies_;
    std::unordered_map<ino_t, int> removed_;
    base::Fd removals_;
};

}  // namespace unionfs
