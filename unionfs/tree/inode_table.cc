#include "unionfs/tree/inode_table.h"

#include <algorithm>
#include <new>
#include <utility>

#include "unionfs/recovery/handover.h"

namespace unionfs {

static_assert(sizeof(Node) % SharedMemory::unit == 0, "a Node is named by a Reference");
static_assert(offsetof(NodeKept, shown_inode) == 0, "a free Node's chain must not be taken for `live`");

namespace {

constexpr size_t nodes_stretch = size_t{6} << 30;
constexpr size_t many_names = 32;  // a Node with that many names gets an index

}  // namespace

InodeTable::InodeTable(FdCache &cache, SharedMemory &memory, std::function<void(ino_t)> let_go)
    : let_go_(std::move(let_go)),
      cache_(cache),
      memory_(memory),
      nodes_(first_node(), nodes_stretch, sizeof(Node)),
      names_(memory, memory.start() + SharedMemory::header_bytes + nodes_stretch) {}

// The reference that points to this name, or null if the Node has no such name.
SharedMemory::Reference *InodeTable::find_name(Node *node, Node *parent, std::string_view name) {
    const SharedMemory::Reference wanted = memory_.reference(parent);
    if (node->name_index) {
        SharedMemory::Reference before = 0;
        if (node->name_index->find(wanted, name, before) == 0) return nullptr;
        return before == 0 ? &node->names : &names_.at(before)->next;
    }
    size_t passed = 0;
    for (SharedMemory::Reference *at = &node->names; *at != 0; at = &names_.at(*at)->next, ++passed)
        if (const Name *link = names_.at(*at); link->parent == wanted && link->text() == name) return at;
    if (passed >= many_names) index_names(node);
    return nullptr;
}

void InodeTable::index_names(Node *node) {
    try {
        node->name_index = std::make_unique<NameIndex>(names_);
    } catch (const std::bad_alloc &) {
        return;  // slower without an index, but correct
    }
    keep_index(node, [&](NameIndex &index) {
        for (SharedMemory::Reference name = node->names; name != 0; name = names_.at(name)->next) index.append(name);
    });
}

void InodeTable::add_name(Node *node, Node *parent, std::string_view name) {
    SharedMemory::Reference *at = node->name_index ? &names_.at(node->name_index->last())->next : &node->names;
    while (*at != 0) at = &names_.at(*at)->next;
    *at = names_.make(memory_.reference(parent), name, 0);
    keep_index(node, [&](NameIndex &index) { index.append(*at); });
    ++parent->children;
}

Node *InodeTable::take_name(Node *node, SharedMemory::Reference *at) {
    const SharedMemory::Reference dropped = *at, next = names_.at(dropped)->next;
    Node *parent = memory_.at<Node>(names_.at(dropped)->parent);
    keep_index(node, [&](NameIndex &index) { index.remove(dropped, next); });
    if (node->name_index && node->name_index->size() < many_names / 2) node->name_index.reset();
    *at = next;
    names_.drop(dropped);
    --parent->children;
    return parent;
}

// `by` must have the same next name as the old one.
void InodeTable::replace_name(Node *node, SharedMemory::Reference *at, SharedMemory::Reference by) {
    const SharedMemory::Reference old = *at;
    keep_index(node, [&](NameIndex &index) { index.replace(old, by, names_.at(old)->next); });
    *at = by;
    names_.drop(old);
}

Node *InodeTable::make_node() {
    Node *node = new (nodes_.take()) Node;
    const auto end = static_cast<uint64_t>(reinterpret_cast<std::byte *>(node + 1) - first_node());
    Handover &handover = handover_of(memory_);
    handover.nodes_end = std::max(handover.nodes_end, end);
    ++count_;
    return node;
}

void InodeTable::remember(Node &node, Node *parent, std::string_view name) {
    if (parent != nullptr && find_name(&node, parent, name) == nullptr) {
        // A directory has one name. A rename in a layer behind our back must not give it two.
        const bool had_name = node.is_dir() && node.names != 0;
        add_name(&node, parent, name);
        if (had_name) drop_name(&node, &node.names);
    }
    ++node.lookups;
    std::atomic_signal_fence(std::memory_order_release);
    node.live = true;
}

Node *InodeTable::find(const Key &key) {
    const std::lock_guard lock(mutex_);
    Node *node = by_key_.find(key);
    if (node != nullptr) ++node->lookups;
    return node;
}

void InodeTable::forget(Node *node, uint64_t lookups) { drop(node, lookups, 0); }

void InodeTable::drop(Node *node, uint64_t lookups, unsigned holders) {
    std::vector<ino_t> left;
    {
        const std::lock_guard lock(mutex_);
        node->lookups -= std::min(lookups, node->lookups);
        node->holders -= holders;
        release(node);
        left.swap(left_);
    }
    for (const ino_t name : left) let_go_(name);
}

void InodeTable::note_left(ino_t name) {
    try {
        left_.push_back(name);
    } catch (const std::bad_alloc &) {
        return;  // it is removed at unmount
    }
}

// A directory is freed with its last child, and so on upwards to any depth. Only a file has several names.
void InodeTable::release(Node *node) {
    for (Node *above = nullptr; node != nullptr && node->lookups == 0 && node->children == 0 && node->holders == 0;
         node = std::exchange(above, nullptr)) {
        node->live = false;
        std::atomic_signal_fence(std::memory_order_release);
        for (const Key &key : {node->upper_key, node->lower_key}) by_key_.erase(key, node);
        node->name_index.reset();
        while (node->names != 0) {
            if (above != nullptr) release(above);
            above = take_name(node, &node->names);
        }
        for (SharedMemory::Reference name = node->hidden; name != 0;) {
            const SharedMemory::Reference next = names_.at(name)->next;
            names_.drop(name);
            name = next;
        }
        cache_.drop(node->slot);
        if (node->orphan_name != 0) note_left(node->orphan_name);
        node->~Node();
        nodes_.give(node);
        --count_;
    }
}

void InodeTable::add_key(Node *node, const Key &key) {
    const std::lock_guard lock(mutex_);
    by_key_.put(key, node);
}

void InodeTable::add_upper_key(Node *node, const Key &key) {
    const std::lock_guard lock(mutex_);
    by_key_.put(key, node);
    node->upper_key = key;
}

void InodeTable::drop_upper_key(Node *node) {
    const std::lock_guard lock(mutex_);
    by_key_.erase(node->upper_key, node);
    node->upper_key = {};
}

void InodeTable::add_lower_key(Node *node, const Key &key) {
    const std::lock_guard lock(mutex_);
    node->lower_key = key;
    by_key_.put(key, node);
}

void InodeTable::add_link(Node *node, Node *parent, const std::string &name) {
    const std::lock_guard lock(mutex_);
    if (find_name(node, parent, name) == nullptr) add_name(node, parent, name);
}

bool InodeTable::remove_link(Node *node, Node *parent, const std::string &name) {
    const std::lock_guard lock(mutex_);
    if (SharedMemory::Reference *at = find_name(node, parent, name); at != nullptr) drop_name(node, at);
    return node->names == 0;
}

void InodeTable::move_link(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name) {
    const std::lock_guard lock(mutex_);
    SharedMemory::Reference *at = find_name(node, parent, name);
    if (at == nullptr) return add_name(node, new_parent, new_name);
    ++new_parent->children;
    replace_name(node, at, names_.make(memory_.reference(new_parent), new_name, names_.at(*at)->next));
    --parent->children;  // the caller's request keeps `parent` alive
}

void InodeTable::hide(Node *node, size_t layer, const std::vector<std::string> &path) {
    const std::lock_guard lock(mutex_);
    SharedMemory::Reference chain = 0;
    for (auto name = path.rbegin(); name != path.rend(); ++name)
        chain = names_.make(static_cast<SharedMemory::Reference>(layer), *name, chain);
    node->hidden = chain;
}

void InodeTable::remove_keys(Node *node) {
    const std::lock_guard lock(mutex_);
    for (const Key &key : {node->upper_key, node->lower_key}) by_key_.erase(key, node);
}

void InodeTable::disown(Node *node) {
    remove_keys(node);
    const std::lock_guard lock(mutex_);
    node->upper_key = node->lower_key = {};
    node->name_index.reset();
    while (node->names != 0) drop_name(node, &node->names);
    node->removed = node->left = true;
}

std::vector<Link> InodeTable::links(Node *node) {
    const std::lock_guard lock(mutex_);
    std::vector<Link> links;
    for (SharedMemory::Reference at = node->names; at != 0; at = names_.at(at)->next)
        links.push_back({memory_.at<Node>(names_.at(at)->parent), std::string(names_.at(at)->text())});
    return links;
}

std::optional<Link> InodeTable::first_link(Node *node) {
    const std::lock_guard lock(mutex_);
    if (node->names == 0) return std::nullopt;
    const Name &name = *names_.at(node->names);
    return Link{memory_.at<Node>(name.parent), std::string(name.text())};
}

std::optional<HeldLink> InodeTable::hold_first_link(Node *node) {
    const std::lock_guard lock(mutex_);
    if (node->names == 0) return std::nullopt;
    const Name &name = *names_.at(node->names);
    Link link{memory_.at<Node>(name.parent), std::string(name.text())};
    ++link.parent->holders;
    return std::optional<HeldLink>(std::in_place, *this, std::move(link));
}

HeldLink::~HeldLink() {
    if (link_.parent != nullptr) table_.drop(link_.parent, 0, 1);
}

bool InodeTable::has_several_names(Node *node) {
    const std::lock_guard lock(mutex_);
    return node->names != 0 && names_.at(node->names)->next != 0;
}

Node *InodeTable::at(SharedMemory::Reference reference) const {
    Node *node = memory_.at<Node>(reference);
    return node != nullptr && node->live ? node : nullptr;
}

std::byte *InodeTable::first_node() const { return memory_.start() + SharedMemory::header_bytes; }

std::vector<int> InodeTable::orphans() {
    std::vector<int> descriptors;
    nodes_.each(handover_of(memory_).nodes_end, [&](void *item) {
        const NodeKept &kept = *static_cast<NodeKept *>(item);
        if (kept.live && kept.orphan_fd >= 0) descriptors.push_back(kept.orphan_fd);
    });
    return descriptors;
}

std::vector<ino_t> InodeTable::orphan_names() {
    std::vector<ino_t> names;
    nodes_.each(handover_of(memory_).nodes_end, [&](void *item) {
        const NodeKept &kept = *static_cast<NodeKept *>(item);
        if (kept.live && kept.orphan_name != 0) names.push_back(kept.orphan_name);
    });
    return names;
}

std::vector<Node *> InodeTable::inherit() {
    std::vector<Node *> nodes;
    nodes_.each(handover_of(memory_).nodes_end, [&](void *item) {
        const NodeKept kept = *static_cast<NodeKept *>(item);
        if (!kept.live) return;
        nodes.push_back(new (item) Node(kept));
        nodes_.claim(item);
        for (SharedMemory::Reference name : {kept.names, kept.hidden})
            for (; name != 0; name = names_.at(name)->next) names_.claim(name);
    });
    nodes_.claimed();
    names_.claimed();
    count_ = nodes.size();
    return nodes;
}

void InodeTable::join(Node *node) {
    for (const Key &key : {node->upper_key, node->lower_key})
        if (key.inode != 0) by_key_.put(key, node);
    for (SharedMemory::Reference name = node->names; name != 0; name = names_.at(name)->next)
        ++memory_.at<Node>(names_.at(name)->parent)->children;
}

void InodeTable::sweep(const std::vector<Node *> &nodes) {
    const std::lock_guard lock(mutex_);
    for (Node *node : nodes)
        if (node->live) release(node);
}

void InodeTable::correct_name(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name) {
    SharedMemory::Reference *at = find_name(node, parent, name);
    if (at == nullptr) return;  // already done before the crash
    node->name_index.reset();
    const SharedMemory::Reference old = *at, next = names_.at(old)->next;
    *at = new_parent == nullptr ? next : names_.make(memory_.reference(new_parent), new_name, next);
    names_.drop(old);
}

std::vector<std::string> InodeTable::hidden_path(Node *node, size_t &layer) {
    std::vector<std::string> path;
    for (SharedMemory::Reference at = node->hidden; at != 0; at = names_.at(at)->next) {
        layer = names_.at(at)->parent;
        path.emplace_back(names_.at(at)->text());
    }
    return path;
}

size_t InodeTable::size() {
    const std::lock_guard lock(mutex_);
    return count_;
}

}  // namespace unionfs
