#include "unionfs/inode_table.h"

#include <algorithm>

namespace unionfs {

namespace {

auto find_link(Node *node, Node *parent, const std::string &name) {
    return std::ranges::find_if(node->links, [&](const Link &link) { return link.parent == parent && link.name == name; });
}

}  // namespace

InodeTable::~InodeTable() = default;  // the process ends with it, and the kernel gives all back

Node *InodeTable::take(const Key &key, Node *parent, const std::string &name, const std::function<void(Node &)> &fill) {
    const std::lock_guard lock(mutex_);
    Node *&node = by_key_[key];
    if (node == nullptr) {
        node = new Node;
        ++count_;
        fill(*node);
    }
    ++node->lookups;
    if (parent != nullptr && find_link(node, parent, name) == node->links.end()) {
        // A folder has one name; a rename of a layer behind our back must not give it two.
        if (node->is_dir() && !node->links.empty()) {
            const Link old = node->links.front();
            node->links.clear();
            drop_link(old);
        }
        node->links.push_back({parent, name});
        ++parent->children;
    }
    return node;
}

Node *InodeTable::find(const Key &key) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    ++found->second->lookups;
    return found->second;
}

void InodeTable::forget(Node *node, uint64_t lookups) {
    const std::lock_guard lock(mutex_);
    node->lookups -= std::min(lookups, node->lookups);
    release(node);
}

void InodeTable::drop_link(const Link &link) {
    --link.parent->children;
    release(link.parent);
}

void InodeTable::release(Node *node) {
    if (node->lookups != 0 || node->children != 0) return;
    for (const Key &key : {node->upper_key, node->lower_key})
        if (const auto found = by_key_.find(key); found != by_key_.end() && found->second == node) by_key_.erase(found);
    const std::vector<Link> links = std::move(node->links);
    cache_.drop(node->slot);
    delete node;
    --count_;
    for (const Link &link : links) drop_link(link);
}

void InodeTable::add_key(Node *node, const Key &key) {
    const std::lock_guard lock(mutex_);
    by_key_[key] = node;
}

void InodeTable::add_link(Node *node, Node *parent, const std::string &name) {
    const std::lock_guard lock(mutex_);
    if (find_link(node, parent, name) != node->links.end()) return;
    node->links.push_back({parent, name});
    ++parent->children;
}

bool InodeTable::remove_link(Node *node, Node *parent, const std::string &name) {
    const std::lock_guard lock(mutex_);
    if (const auto found = find_link(node, parent, name); found != node->links.end()) {
        const Link link = *found;
        node->links.erase(found);
        drop_link(link);
    }
    return node->links.empty();
}

void InodeTable::move_link(Node *node, Node *parent, const std::string &name, Node *new_parent, const std::string &new_name) {
    const std::lock_guard lock(mutex_);
    const auto found = find_link(node, parent, name);
    ++new_parent->children;
    if (found == node->links.end()) {
        node->links.push_back({new_parent, new_name});
        return;
    }
    *found = {new_parent, new_name};
    --parent->children;  // the caller's request keeps it alive
}

void InodeTable::remove_keys(Node *node) {
    const std::lock_guard lock(mutex_);
    for (const Key &key : {node->upper_key, node->lower_key})
        if (const auto found = by_key_.find(key); found != by_key_.end() && found->second == node) by_key_.erase(found);
}

std::vector<Link> InodeTable::links(Node *node) {
    const std::lock_guard lock(mutex_);
    return node->links;
}

size_t InodeTable::size() {
    const std::lock_guard lock(mutex_);
    return count_;
}

}  // namespace unionfs
