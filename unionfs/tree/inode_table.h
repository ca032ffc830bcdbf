// Which Nodes there are, by what lies beneath them. A Node lives while the kernel remembers it (lookups) or a child of
// it lives. No system call is made under the table's lock, but to give memory back.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

#include "unionfs/tree/key_table.h"
#include "unionfs/tree/name_pool.h"
#include "unionfs/tree/node.h"

namespace unionfs {

class InodeTable {
  public:
    // `let_go` is told of each Node's orphan_name when that is freed, with no lock held.
    InodeTable(FdCache &cache, SharedMemory &memory, std::function<void(ino_t)> let_go);
    InodeTable(const InodeTable &) = delete;
    InodeTable &operator=(const InodeTable &) = delete;

    // The Node of an object, with one more lookup counted and (parent, name) among its links. `fill` completes a new one.
    template <class Fill>
    Node *intern(const Key &key, Node *parent, std::string_view name, const Fill &fill) {
        const std::lock_guard lock(mutex_);
        Node *node = by_key_.find(key);
        if (node == nullptr) {
            node = make_node();
            try {
                fill(*node);
                by_key_.put(key, node);
                remember(*node, parent, name);
            } catch (...) {
                by_key_.erase(key, node);
                release(node);
                throw;
            }
        } else {
            remember(*node, parent, name);
        }
        return node;
    }
    // The Node of an object, with one more lookup counted, or null.
    Node *find(const Key &key);
    // Takes lookups off the count; the last one frees the Node.
    void forget(Node *node, uint64_t lookups);

    void add_key(Node *node, const Key &key);
    void add_lower_key(Node *node, const Key &key);
    void add_link(Node *node, Node *parent, const std::string &name);
    // True when that was the last name known.
    bool remove_link(Node *node, Node *parent, const std::string &name);
    void move_link(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name);
    // The names from the layer's root to a lower object that loses its last name.
    void hide(Node *node, size_t layer, const std::vector<std::string> &path);
    // An unlinked object's number may be given to another one soon.
    void remove_keys(Node *node);
    // Takes all keys and names from a Node and leaves it to those who have it open.
    void disown(Node *node);
    std::vector<Link> links(Node *node);
    // The first of them. Nothing: there is none.
    std::optional<Link> first_link(Node *node);
    [[nodiscard]] bool has_several_names(Node *node);
    [[nodiscard]] size_t size();

    SharedMemory::Reference reference(const Node *node) const { return memory_.reference(node); }
    // Null when no Node is there.
    Node *at(SharedMemory::Reference reference) const;

    // --- a successor's, before it serves (restore.cc) ---
    // Descriptors that the Nodes of the dead worker need.
    std::vector<int> orphans();
    std::vector<ino_t> orphan_names();
    // The Nodes of the dead worker, each with its NodeKept alone, not yet in the table.
    std::vector<Node *> inherit();
    // Before join: a name of a Node is another one, or with a null `new_parent` none.
    void correct_name(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name);
    // Into the table, now that its keys and names are right.
    void join(Node *node);
    // Those that nobody remembers.
    void sweep(const std::vector<Node *> &nodes);
    std::vector<std::string> hidden_path(Node *node, size_t &layer);

  private:
    Node *make_node();
    void remember(Node &node, Node *parent, std::string_view name);
    SharedMemory::Reference *find_name(Node *node, Node *parent, std::string_view name);
    void add_name(Node *node, Node *parent, std::string_view name);
    void drop_name(Node *node, SharedMemory::Reference *at) { release(take_name(node, at)); }
    Node *take_name(Node *node, SharedMemory::Reference *at);  // whose it was a child of, which may have to be released
    void replace_name(Node *node, SharedMemory::Reference *at, SharedMemory::Reference by);
    void index_names(Node *node);
    template <class Change>
    void keep_index(Node *node, const Change &change) {
        if (!node->name_index) return;
        try {
            change(*node->name_index);
        } catch (const std::bad_alloc &) {
            node->name_index.reset();
        }
    }
    void release(Node *node);
    void note_left(ino_t name);
    std::byte *first_node() const;

    Mutex<Rank::table> mutex_;
    KeyTable by_key_;
    size_t count_ = 0;
    std::function<void(ino_t)> let_go_;
    std::vector<ino_t> left_;  // orphan_names of Nodes that were freed
    FdCache &cache_;
    SharedMemory &memory_;
    ItemPool nodes_;
    NamePool names_;
};

}  // namespace unionfs
