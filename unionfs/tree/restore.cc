// What a successor does before it serves. It restores what only the dead worker's own memory had, by looking up the Nodes'
// names in the layers again. It also finds out which of the dead worker's unfinished requests were done.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <unordered_set>

#include "unionfs/recovery/handover.h"
#include "unionfs/tree/union.h"

namespace unionfs {

class Union::Restorer {
  public:
    explicit Restorer(Union &fs) : fs_(fs) {
        fs.journal.each([&](JournalEntry &entry) { entries_.push_back(&entry); });
    }
    void restore(Node &node);
    void settle_made();

  private:
    void restore_one(Node &node);
    void settle_rename(JournalEntry &entry);
    void settle_removal(JournalEntry &entry, Node &node);
    void find(Node &node);
    void find_hidden(Node &node);
    bool leads_to(Node &parent, const std::string &name, const Node &node);

    Union &fs_;
    std::vector<JournalEntry *> entries_;
};

bool Union::Restorer::leads_to(Node &parent, const std::string &name, const Node &node) {
    Found found;
    if (fs_.probe(parent, name, found) != 0) return false;
    const Key key{found.status.st_dev, found.status.st_ino};
    return key == node.upper_key || (!found.upper && key == node.lower_key);
}

// Parents first, without recursion.
void Union::Restorer::restore(Node &first) {
    std::vector<Node *> waiting{&first};
    std::unordered_set<Node *> looked_above;
    while (!waiting.empty()) {
        Node *node = waiting.back();
        if (!node->restored && looked_above.insert(node).second)
            for (const Link &link : fs_.table.links(node))
                if (!link.parent->restored) waiting.push_back(link.parent);
        if (waiting.back() != node) continue;
        waiting.pop_back();
        restore_one(*node);
    }
}

void Union::Restorer::restore_one(Node &node) {
    if (node.restored) return;
    node.restored = true;
    if (&node == fs_.root) return;
    for (JournalEntry *entry : entries_) {
        const bool ours = fs_.table.at(entry->node) == &node;
        if (entry->kind == RequestKind::rename && (ours || fs_.table.at(entry->other) == &node)) settle_rename(*entry);
        if (entry->kind == RequestKind::remove && ours) settle_removal(*entry, node);
        if (entry->counting && fs_.table.at(entry->file) == &node)
            entry->counted = entry->counted || node.opens + node.cached_opens == entry->opens;
    }
    find(node);
    fs_.table.join(&node);
}

void Union::Restorer::settle_rename(JournalEntry &entry) {
    Node *node = fs_.table.at(entry.node), *other = fs_.table.at(entry.other);
    Node *parent = fs_.table.at(entry.parent), *new_parent = fs_.table.at(entry.new_parent);
    if (entry.done || node == nullptr || parent == nullptr || new_parent == nullptr) return;
    restore(*parent);
    restore(*new_parent);
    const std::string name(entry.old_place()), new_name(entry.new_place());
    if (!leads_to(*new_parent, new_name, *node)) return;
    entry.done = true;
    fs_.table.correct_name(node, parent, name, new_parent, new_name);
    if (other == nullptr) return;
    if (entry.exchange)
        fs_.table.correct_name(other, new_parent, new_name, parent, name);
    else
        fs_.table.correct_name(other, new_parent, new_name, nullptr, {});
}

void Union::Restorer::settle_removal(JournalEntry &entry, Node &node) {
    Node *parent = fs_.table.at(entry.parent);
    if (entry.done || parent == nullptr) return;
    restore(*parent);
    const std::string name(entry.old_place());
    Found found;
    if (fs_.probe(*parent, name, found) != ENOENT) return;
    entry.done = true;
    fs_.table.correct_name(&node, parent, name, nullptr, {});
}

// If a name was absent when the kernel asked to make it, and it exists now, that request made it.
void Union::Restorer::settle_made() {
    for (JournalEntry *entry : entries_) {
        if (entry->kind != RequestKind::make && entry->kind != RequestKind::link) continue;
        Node *parent = fs_.table.at(entry->parent), *node = fs_.table.at(entry->node);
        Found found;
        if (parent == nullptr || !parent->is_dir() || fs_.probe(*parent, std::string(entry->old_place()), found) != 0) continue;
        if (entry->kind == RequestKind::make) entry->done = found.upper;
        if (entry->kind == RequestKind::make || node == nullptr) continue;
        entry->done = Key{found.status.st_dev, found.status.st_ino} == node->upper_key;
        if (entry->done) fs_.table.add_link(node, parent, std::string(entry->old_place()));
    }
}

void Union::Restorer::find(Node &node) {
    bool found_one = false;
    if (node.orphan_fd < 0 && node.orphan_name == 0) node.upper_key = {};
    for (const Link &link : fs_.table.links(&node)) {
        restore(*link.parent);
        Found found;
        const int error = fs_.probe(*link.parent, link.name, found);
        if (error != 0 && error != ENOENT && error != ENOTDIR) {
            node.lost = true;
            continue;
        }
        if (error != 0 || (found.status.st_mode & S_IFMT) != node.type) {
            fs_.table.correct_name(&node, link.parent, link.name, nullptr, {});
            continue;
        }
        if (found.upper) {
            node.upper = true;
            node.upper_key = {found.status.st_dev, found.status.st_ino};
        } else if (found.lower_parent) {
            node.lower_parent = found.lower_parent;
            node.lower_name = link.name;
            if (found.status.st_nlink > 1) node.nlink_change = -fs_.hard_links.removed(node.shown_inode);
        }
        if (node.is_dir()) node.lowers = std::move(found.lowers);
        found_one = true;
    }
    node.lost = node.lost && !found_one;
    node.removed = !found_one && !node.lost;
    if (node.lost) {
        node.lower_key = {};  // nobody finds this Node any more: a lookup of the name makes another
    } else if (found_one) {
        node.orphan_fd = -1;
        fs_.give_up_orphan(node);
    } else if (node.orphan_fd >= 0 || node.orphan_name != 0) {
        node.upper = true;
        fs_.keep_inherited(node);
    } else {
        find_hidden(node);
    }
    node.indexed = node.upper && !node.is_dir() && fs_.hard_links.find(node.shown_inode) == node.upper_key.inode;
}

void Union::Restorer::find_hidden(Node &node) {
    size_t layer = 0;
    std::vector<std::string> path = fs_.table.hidden_path(&node, layer);
    if (path.empty() || layer >= fs_.layers.lowers.size()) return;
    LowerDirRef at;
    for (const LowerDirRef &top : fs_.root->lowers)
        if (top->layer == layer) at = top;
    if (!node.is_dir()) {
        node.lower_name = std::move(path.back());
        path.pop_back();
    }
    for (const std::string &name : path)
        if (at) at = fs_.lower_child(at, name);
    if (node.is_dir() && at)
        node.lowers = {at};
    else
        node.lower_parent = at;
}

void Union::restore() {
    journal.inherit();
    const std::vector<Node *> nodes = table.inherit();
    root = table.at(handover_of(memory).root);
    fill_root(*root);
    hard_links.load();
    table.join(root);
    Restorer restorer(*this);
    for (Node *node : nodes) restorer.restore(*node);
    restorer.settle_made();
    table.sweep(nodes);
}

}  // namespace unionfs
