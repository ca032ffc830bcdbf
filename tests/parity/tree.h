// What can be seen of a tree, as text to compare, and a tree that has all that there is to see.
#pragma once

#include <filesystem>
#include <string>

namespace parity {

// For each object: type and permissions, owner, size and number of names of a file, its content and holes, a link's target, a
// device's number, every extended attribute, and its mtime where populate() set it. A time that was set since reads "now",
// because two trees that are compared were never changed at the same moment.
std::string tree(const std::string &root);

// Fills a directory with objects of every kind: owners other than root, permissions, ACLs, capabilities, attributes of each
// namespace, holes, hard links, a device, times of long ago. What the file system below can't hold is left out.
void populate(const std::filesystem::path &root);

}  // namespace parity
