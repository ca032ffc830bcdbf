// What the kernel sees: which objects exist, what a name means, where an object is, and how it changes. The union is built on
// the layers (unionfs/upper). What a successor process needs is in shared memory (unionfs/recovery). The union knows nothing
// about FUSE: the server installs one callback. Functions return 0 or an errno, because that is what the kernel gets.
// Thread-safe; see unionfs/base/lock_order.h.
#pragma once

#include <fcntl.h>

#include <functional>
#include <memory>

#include "unionfs/base/options.h"
#include "unionfs/recovery/journal.h"
#include "unionfs/tree/inode_table.h"
#include "unionfs/tree/name_trace.h"
#include "unionfs/upper/hard_links.h"

namespace unionfs {

struct Location {  // for the *at calls; a directory is (itself, "."), an unlinked file (itself, "")
    FdRef dir{};
    std::string name{};
    std::unique_lock<NodeMutex> held{};  // the Node's lock, which keeps the name valid
    [[nodiscard]] int fd() const { return dir->get(); }
    [[nodiscard]] int flags() const;  // AT_SYMLINK_NOFOLLOW, or AT_EMPTY_PATH, which is as quick as fstat(2)
};

// How the kernel learns that a copy-up changed a file's attributes. by_us: we send a notice. by_the_answer: the answer to a
// SETATTR carries them, and after a WRITE the kernel asks for them. A notice would then cost a call and keep the kernel from
// caching the answer's attributes.
enum class Told { by_us, by_the_answer };

struct Found {  // what a name means
    struct stat status{};
    bool upper = false;
    ino_t indexed = 0;                  // st_ino of a lower file whose copy is in the index; the upper lacks this name
    std::vector<LowerDirRef> lowers{};  // of a directory
    LowerDirRef lower_parent{};         // of a lower file
    Key lower_key{};
    bool is_new = false;  // just made, so no st_ino from before a copy-up
};

class Union {
    FdCache cache;  // must outlive the table, because its Nodes hold slots of the cache
    HardLinks hard_links;

  public:
    // The layers must be open. Both arguments outlive the Union.
    Union(Layers &opened, SharedMemory &shared);

    Layers &layers;
    const Options &options;  // the layers' options
    SharedMemory &memory;
    Journal journal;
    InodeTable table;
    ReaddirplusPolicy readdirplus;
    Node *root = nullptr;
    std::unique_ptr<NameTrace> trace{};  // null: no trace is wanted
    // Called when a Node's attributes changed and no answer says so. Called with locks held, so it must not take the union's
    // locks.
    std::function<void(const Node &)> attributes_changed{};

    void make_root();  // in the first worker; a successor calls restore()
    void restore();    // restore.cc

    // --- what is where (resolve.cc) ---
    int lower_dir(const LowerDirRef &dir, FdRef &fd);
    int open_lower_dir(const LowerDirRef &dir, base::Fd &fd);
    int upper_dir(Node &node, FdRef &fd);
    int resolve(Node &node, Location &place);  // the visible object
    int resolve_upper(Node &node, Location &place);
    // Like resolve(), for callers that hold neither the Node's mutex nor the kernel's inode lock to keep the name valid.
    int resolve_held(Node &node, Location &place);
    int resolve_open(Node &node, Location &place);            // like resolve(), but gives (itself, ""), perhaps O_PATH
    static int take_hold(const Node &node, Location &place);  // converts a resolved place to that
    int data(Node &node, bool write, FdRef &fd);
    int attributes(Node &node, struct stat &status);
    void show(const Node &node, struct stat &status) const;  // converts the layer's numbers to the union's
    void changed_by_us(const Node &node) const;
    void drop_data(Node &node);  // closes its data descriptor; the caller has locked the Node
    void open_anew(Node &node);  // drops the data descriptor, because flags are checked when a file is opened

    // --- names (lookup.cc) ---
    int probe(Node &parent, const std::string &name, Found &found, size_t first_layer = 0);
    int lookup(Node &parent, const std::string &name, Node *&node, struct stat &status, size_t first_layer = 0);
    int intern_made(Node &parent, const std::string &name, base::Fd file, Node *&node, struct stat &status);

    // --- changes (copy_up.cc, create_remove.cc, rename.cc) ---
    [[nodiscard]] bool takes_changes() const { return layers.upper && options.copy_on_write; }  // of the lowers' files
    // `size`: copies no more than this, because a truncation follows.
    int copy_up(Node &node, off_t size = -1, Told told = Told::by_us);
    int make(Node &parent, const std::string &name, bool directory, const std::function<int(int, const char *)> &create);
    int remove(Node &parent, const std::string &name, bool directory);
    int rename(Node &parent, const std::string &name, Node &new_parent, const std::string &new_name, unsigned flags);
    int link(Node &node, Node &new_parent, const std::string &new_name);
    int leave_to_readers(Node &node);  // returns ESTALE if it did, so the kernel repeats the lookup

    // --- what is removed and still in use (orphans.cc) ---
    int keep_unnamed(Node &node, base::Fd file);  // for O_TMPFILE
    void keep_inherited(Node &node);
    void give_up_orphan(Node &node);  // it has a name, or nobody uses it

    LowerDirRef lower_child(const LowerDirRef &parent, const std::string &name, const Key &key = {});

  private:
    enum class Keep { removed, left };
    FdRef count_orphan(FdRef fd);  // null: there are too many
    int keep_unlinked(Node &node, Keep why);
    int keep_by_name(Node &node);
    void keep_removed_directory(Node &directory);
    int keep_made(Node &node, const StagedCopy &made, base::Fd fd);
    void remember_place(Node &node);
    void let_orphan_go(ino_t name);
    std::atomic<unsigned> orphans_open_ = 0;

    int resolve_lower(Node &node, Location &place);
    int open_upper_dir(Node &node, FdRef &fd);
    bool find_open(Node &node, Location &place);

    [[nodiscard]] ino_t number_before_copy_up(const base::Fd &dir, const std::string &name) const;
    Node *intern(Node &parent, const std::string &name, Found &found);
    int lower_has(Node &parent, const std::string &name, bool &has);  // whether a lower would show through
    int is_empty(Node &directory);
    int find_copy(Found &found, bool &let_go);
    void fill_root(Node &node);

    int copy_up_above(Node &directory);
    int copy_up_locked(Node &node, off_t size);
    int copy_up_directory(Node &node);
    int copy_up_file(Node &node, off_t size, base::Fd &copy);  // leaves the copy open for writing
    int give_names(Node &node, const std::vector<Link> &links, const std::string &entry, bool several);

    // hard_link_names.cc
    bool mark_hard_link(const Node &node, const std::vector<Link> &links, const std::string &entry, const struct stat &lower);
    int link_up(Node &node, Node &parent, const std::string &name);
    int bring_name(Node &node, Node &parent, const std::string &name);
    bool leave_index(Node &node);
    std::string lower_name(const Node &node, const Link *link);

    struct Renaming;
    class Restorer;
    int clear_directory(Node &parent, const std::string &name, Node &directory);
    int copy_up_tree(Node &directory);
    int copy_up_content(Node &directory, std::vector<Node *> &further);
    int path_in_lowers(Node &directory, std::string &path);
    int mark_moved(Node &node, Node &parent, Node &new_parent, const std::string &new_name);
    std::unique_lock<NodeMutex> hold_for_removal(Node &node, bool last_name, int &error);
    void lose_name(Node &node, Node &parent, const std::string &name, bool last_on_disk);
};

inline int Location::flags() const { return name.empty() ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW; }

// The path from the layer's root, with a leading slash. The root's path is empty.
std::string lower_path(const LowerDirRef &dir);

}  // namespace unionfs
