// The copies of lower files that have several names. A name comes to the upper when it is looked up. As long as some names
// have not come, the copy has one more, in the directory `links` of the workdir. There those names find it, in this mount and
// the next ones. overlayfs has an index of its own (overlayfs.rst, "Inode properties") that goes by file handles. A lower on
// 9p has none, so ours goes by st_ino. overlayfs doesn't read it, and shows the names that are in the upper.
//
// On disk: links/N is the copy itself; N is the st_ino shown, in decimal. Its overlay.unionfs.origin is the lower name that it
// was made for, from its layer's root: after a change of the lowers it tells whether the copy is still theirs. Its
// overlay.unionfs.names counts its names in the union: "=3" is three, "-1" is one fewer than its links on disk. Which of the two
// stands there makes each change of a name one step: a name that comes to the upper leaves "=3" true, and one that is made or
// removed leaves "-1" true.
//
// Names of a file that was never copied up may be removed too. Each is noted in links/removed before its whiteout is made, as
// "N PATH" and a zero byte. It counts if that path of the lower is indeed hidden.
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

    // Reads what the workdir holds of the index, when a mount or a successor begins.
    void load();

    // The inode of the copy, or 0. Thread-safe.
    ino_t find(ino_t number);
    void add(ino_t number, ino_t inode);

    // How many names of a lower file are gone. Thread-safe.
    int removed(ino_t number);
    void note_removal(ino_t number, const std::string &path);
    void count_removal(ino_t number);

    static std::string name_of(ino_t number) { return std::to_string(number); }

    // --- of one copy; its Node is locked ---
    // Of one that still lies in the work directory: `path` is its lower name, `left` how many names it has. False: it can't
    // be marked (user.* goes on files only), and its further names are lost over a remount.
    [[nodiscard]] bool mark(const std::string &work_entry, const std::string &path, long left) const;
    // The names in the union of a copy that has `on_disk` links, its index's among them.
    [[nodiscard]] nlink_t count_names(ino_t number, nlink_t on_disk) const;
    // Before a name that shows it comes to the upper; (dir, name) is the copy.
    [[nodiscard]] int count_absolutely(ino_t number, int dir, const std::string &name, nlink_t on_disk) const;
    // Before a link is made or removed.
    [[nodiscard]] int count_by_links(ino_t number) const;
    // After a change of names: the copy of which all names are in the upper needs no index, nor does one that has none.
    // `left`: how many names it has then.
    [[nodiscard]] bool is_needless(ino_t number, nlink_t &left) const;
    // `orphan`: the entry in the work directory that it becomes.
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
