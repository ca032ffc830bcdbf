// The visible state of a tree as text for comparisons, and a tree with every feature to compare.
#pragma once

#include <filesystem>
#include <string>

namespace parity {

// For each object: type and permissions, owner, size and link count of a file, its content and holes, a link's target, a
// device's number, every extended attribute, and the mtime if populate() set it. A later time reads "now", because two trees
// never change at the same moment.
std::string tree(const std::string &root);

// Fills a directory with objects of every kind: owners other than root, permissions, ACLs, capabilities, attributes of each
// namespace, holes, hard links, a device, old timestamps. Leaves out what the underlying file system doesn't support.
void populate(const std::filesystem::path &root);

}  // namespace parity
