// The union itself, apart from FUSE: layers, where an object is, what a name means, copy-up, marks on disk.
// Functions return 0 or an errno, for that is what the kernel is answered. Thread-safe; locks: see node.h.
//
// On disk the upper is overlayfs's (Documentation/filesystems/overlayfs.rst): a character device 0:0 hides a name, the
// attribute overlay.opaque "y" hides a folder's lowers, overlay.redirect tells where a moved folder's lowers are. Ours
// alone is overlay.unionfs.ino: the st_ino that a copied-up file had before; and what hard_links.h says.
#pragma once

#include <fcntl.h>

#include <functional>

#include "mounts/base/error.h"
#include "unionfs/command/options.h"
#include "unionfs/recovery/journal.h"
#include "unionfs/tree/inode_table.h"
#include "unionfs/upper/hard_links.h"

namespace unionfs {

struct Where {  // for the *at calls; a folder is (itself, "."), an unlinked file (itself, "")
    FdRef dir{};
    std::string name{};
    std::unique_lock<std::mutex> held{};  // of the Node: the name leads to it until then
    [[nodiscard]] int fd() const { return dir->get(); }
    [[nodiscard]] int flags() const;  // AT_SYMLINK_NOFOLLOW, or AT_EMPTY_PATH: fstat(2)'s shorter way
};

// How the kernel learns what a copy-up changes of a file's attributes. The answer to a SETATTR carries them, and after a WRITE
// it asks; there a notice would cost a call, and keep it from caching what the answer carries.
enum class Told { by_us, by_the_answer };

struct Found {  // what a name means
    struct stat status{};
    bool upper = false;
    ino_t indexed = 0;                  // not the upper has the name but a lower, whose copy the index has: its st_ino
    std::vector<LowerDirRef> lowers{};  // of a folder
    LowerDirRef lower_parent{};         // of a file of a lower layer
    Key lower_key{};
    bool is_new = false;  // just made: it has no st_ino from before
};

struct Union {
    Union(Options given, SharedMemory &shared);

    Options options;
    SharedMemory &memory;
    Journal journal;
    FdCache cache;
    InodeTable table;
    std::vector<FdRef> lowers;  // O_PATH
    FdRef upper;                // null: read-only
    FdRef work;                 // the folder `work` in the workdir
    HardLinks hard_links;
    Walks walks;
    dev_t upper_device = 0;
    std::string mark = "trusted.overlay.";  // prefix of our attributes
    bool marked_whiteouts = false;          // a whiteout is an attribute of an empty file, for the upper takes no device
    bool privileged = false;                // may give files away: files are made as the caller
    std::vector<dev_t> devices;             // of the layers; a position in it goes into st_ino
    Node *root = nullptr;
    int device = -1;  // /dev/fuse, while it serves

    base::Result<> open_layers();
    void make_root();  // in the process that serves; its successor restores
    void restore();    // restore.cc
    void clean_work();

    // --- what is where (locate.cc) ---
    int lower_dir(const LowerDirRef &dir, FdRef &fd);
    int open_lower_dir(const LowerDirRef &dir, base::Fd &fd);
    int upper_dir(Node &node, FdRef &fd);
    int where(Node &node, Where &place);  // the object that shows
    int where_upper(Node &node, Where &place);
    int hold(Node &node, Where &place);   // as where(), for whom neither the Node's mutex nor the kernel's inode lock keeps names
    int reach(Node &node, Where &place);  // as where(), but (itself, "") if it is open; linkat(2) asks for a privilege then
    int data(Node &node, bool write, FdRef &fd);
    int attributes(Node &node, struct stat &status);
    void show(const Node &node, struct stat &status) const;  // the layer's numbers into ours
    void changed_by_us(const Node &node) const;              // attributes, by no request for that node: the kernel is told

    // --- names (lookup.cc) ---
    int probe(Node &parent, const std::string &name, Found &found, size_t first_layer = 0);
    int lookup(Node &parent, const std::string &name, Node *&node, struct stat &status, size_t first_layer = 0);
    Node *take(Node &parent, const std::string &name, Found &found);
    int take_made(Node &parent, const std::string &name, base::Fd file, Node *&node, struct stat &status);
    int lower_has(Node &parent, const std::string &name, bool &has);  // a lower layer would show through
    int is_empty(Node &folder);
    [[nodiscard]] ino_t number_of(const Key &key) const;  // the st_ino that is shown
    int find_copy(Found &found, bool &let_go);

    // --- copies of the lowers' hard links (hard_links.cc) ---
    void load_hard_links();
    [[nodiscard]] nlink_t count_names(const Node &node, nlink_t on_disk) const;

    // --- marks (whiteout.cc): a layer that can't be read is an error, never a layer without marks ---
    [[nodiscard]] int has_mark(int dir, const char *name, const char *which, bool &has) const;
    [[nodiscard]] int mark_value(int dir, const char *name, const char *which, std::string &value) const;  // empty: none
    [[nodiscard]] int is_whiteout(int dir, const char *name, const struct stat &status, bool &is) const;
    [[nodiscard]] int is_opaque(int dir, const char *name, bool &is) const;
    [[nodiscard]] int check_has_data(int file) const;  // EIO: overlayfs left it elsewhere
    [[nodiscard]] int may_hold_marked_whiteouts(int dir, bool &may) const;
    [[nodiscard]] int admit_marked_whiteouts(int dir) const;  // before one comes to a folder
    [[nodiscard]] int make_opaque(int dir, const char *name) const;
    std::string work_name();
    int make_whiteout(int dir, const std::string &name);
    int replace_by_whiteout(int dir, const std::string &name, bool folder);  // atomic
    void discard(const std::string &work_entry);                             // a tree in the work folder

    // --- changes (copy_up.cc, make.cc) ---
    [[nodiscard]] bool takes_changes() const { return upper && options.copy_on_write; }  // of the lowers' files
    // `size`: a truncation follows, no more needs to be copied.
    int copy_up(Node &node, off_t size = -1, Told told = Told::by_us);
    int make(Node &parent, const std::string &name, bool folder, const std::function<int(int, const char *)> &create);
    int remove(Node &parent, const std::string &name, bool folder);
    int rename(Node &parent, const std::string &name, Node &new_parent, const std::string &new_name, unsigned flags);
    int link(Node &node, Node &new_parent, const std::string &new_name);
    int leave_to_readers(Node &node);  // ESTALE if that was done: the kernel looks the name up again

  private:
    int where_lower(Node &node, Where &place);
    int open_upper_dir(Node &node, FdRef &fd);
    bool find_open(Node &node, Where &place);
    int copy_up_above(Node &folder);
    int copy_up_locked(Node &node, off_t size);
    int copy_up_folder(Node &node);
    int copy_up_file(Node &node, off_t size, base::Fd &copy);  // leaves what it wrote to open
    int give_names(Node &node, const std::vector<Link> &links, const std::string &entry, bool several);
    bool mark_hard_link(const Node &node, const std::vector<Link> &links, const std::string &entry, const struct stat &lower);
    int link_up(Node &node, Node &parent, const std::string &name);
    int bring_name(Node &node, Node &parent, const std::string &name);
    int count_by_links(const Node &node);
    bool leave_index(Node &node);
    void load_removals();
    std::string lower_name(const Node &node, const Link *link);
    void fill_root(Node &node);
    int clear_folder(Node &parent, const std::string &name, Node &folder);
    int copy_up_tree(Node &folder);
    int copy_up_content(Node &folder, std::vector<Node *> &further);
    int path_in_lowers(Node &folder, std::string &path);
    struct Renaming;
    int mark_moved(Node &node, Node &parent, Node &new_parent, const std::string &new_name);
    int keep_unlinked(Node &node);
    std::unique_lock<std::mutex> hold_for_removal(Node &node, bool last_name, int &error);
    void remember_place(Node &node);
    void lose_name(Node &node, Node &parent, const std::string &name, bool last_on_disk);
    std::atomic<uint64_t> next_work_name_ = 0;
};

inline int Where::flags() const { return name.empty() ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW; }

// Owner, times, mode and attributes of one object onto another; nothing of ours among the attributes. `made`: what the
// other was before.
int copy_attributes(int from_dir, const char *from, int to_dir, const char *to, const struct stat &status,
                    const std::string &mark, struct stat &made);

LowerDirRef lower_child(Union &fs, const LowerDirRef &parent, const std::string &name, const Key &key = {});

// From its layer's root, with a leading slash; the root's is empty.
std::string lower_path(const LowerDirRef &dir);

// All data of a file; a reflink where the file system can. Holes, if there are any, are left out.
int copy_data(int from, int to, off_t size, bool has_holes);

}  // namespace unionfs
