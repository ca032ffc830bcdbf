// All Nodes, found by the objects beneath them. A Node lives while the kernel remembers it (lookups), while it has a child, or
// while someone goes up the tree through it (HeldLink).
// The only system call made under the table's lock is the one that returns memory.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "unionfs/tree/key_table.h"
#include "unionfs/tree/name_pool.h"
#include "unionfs/tree/node.h"

namespace unionfs {

class InodeTable;

// A name of a Node. Its directory stays while this lives, even if the Node leaves it meanwhile. Needed for going up the tree:
// directories further up are not locked by the request, neither here nor in the kernel.
class HeldLink {
  public:
    HeldLink(InodeTable &table, Link link) : table_(table), link_(std::move(link)) {}
    HeldLink(HeldLink &&other) noexcept
        : table_(other.table_), link_{std::exchange(other.link_.parent, nullptr), std::move(other.link_.name)} {}
    HeldLink &operator=(HeldLink &&) = delete;
    ~HeldLink();
    const Link *operator->() const { return &link_; }

  private:
    InodeTable &table_;
    Link link_;
};

class InodeTable {
  public:
    // `let_go` receives the orphan_name of each freed Node. It is called without locks.
    InodeTable(FdCache &cache, SharedMemory &memory, std::function<void(ino_t)> let_go);
    InodeTable(const InodeTable &) = delete;
    InodeTable &operator=(const InodeTable &) = delete;

    // Returns the Node of an object, with its lookup count raised and (parent, name) among its links. `fill` completes a new
    // one.
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
    // Returns the Node of an object, with its lookup count raised, or null.
    Node *find(const Key &key);
    // Lowers the lookup count. A Node without lookups and children is freed.
    void forget(Node *node, uint64_t lookups);

    void add_key(Node *node, const Key &key);
    // Call this before a copy gets a name. Otherwise a lookup that finds the copy would make a second Node for it.
    void add_upper_key(Node *node, const Key &key);
    void drop_upper_key(Node *node);  // the copy got no name
    void add_lower_key(Node *node, const Key &key);
    void add_link(Node *node, Node *parent, const std::string &name);
    // Returns true if that was the last known name.
    bool remove_link(Node *node, Node *parent, const std::string &name);
    void move_link(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name);
    // Stores the path from the layer's root to a lower object that loses its last name.
    void hide(Node *node, size_t layer, const std::vector<std::string> &path);
    // Call this for an unlinked object, because its inode number may soon be reused.
    void remove_keys(Node *node);
    // Removes all keys and names from a Node. Only processes that have it open still use it.
    void disown(Node *node);
    std::vector<Link> links(Node *node);
    // The first link, if there is one.
    std::optional<Link> first_link(Node *node);
    // The same, with its directory held.
    std::optional<HeldLink> hold_first_link(Node *node);
    [[nodiscard]] bool has_several_names(Node *node);
    [[nodiscard]] size_t size();

    SharedMemory::Reference reference(const Node *node) const { return memory_.reference(node); }
    // Null if no Node is there.
    Node *at(SharedMemory::Reference reference) const;

    // --- for a successor, before it serves (restore.cc) ---
    // The descriptors that the dead worker's Nodes need.
    std::vector<int> orphans();
    std::vector<ino_t> orphan_names();
    // The dead worker's Nodes. They have only their NodeKept and are not in the table yet.
    std::vector<Node *> inherit();
    // Changes a name of a Node, or removes it if `new_parent` is null. Call this before join().
    void correct_name(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name);
    // Adds a Node to the table once its keys and names are right.
    void join(Node *node);
    // Frees the Nodes that the kernel doesn't remember.
    void sweep(const std::vector<Node *> &nodes);
    std::vector<std::string> hidden_path(Node *node, size_t &layer);

  private:
    friend class HeldLink;
    void drop(Node *node, uint64_t lookups, unsigned holders);
    Node *make_node();
    void remember(Node &node, Node *parent, std::string_view name);
    SharedMemory::Reference *find_name(Node *node, Node *parent, std::string_view name);
    void add_name(Node *node, Node *parent, std::string_view name);
    void drop_name(Node *node, SharedMemory::Reference *at) { release(take_name(node, at)); }
    Node *take_name(Node *node, SharedMemory::Reference *at);  // returns the old parent, which the caller may have to release
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
    std::vector<ino_t> left_;  // orphan_names of freed Nodes
    FdCache &cache_;
    SharedMemory &memory_;
    ItemPool nodes_;
    NamePool names_;
};

}  // namespace unionfs
