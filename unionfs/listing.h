// The merged names of a folder, in an order that doesn't depend on what else is in it: by a hash of the name. So an
// offset that telldir gave stays good while names come and go, after the listing was dropped and read again, and in
// another process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace unionfs {

struct Node;
struct Union;

struct ListingEntry {
    uint64_t cookie;     // 3 or more: 1 and 2 are `.` and `..`
    uint64_t inode;      // of the layer's entry
    unsigned layer;      // 0: the upper, else 1 + index of the lower
    unsigned char type;  // DT_*
    std::string name;
};

struct Listing {
    std::vector<ListingEntry> entries;  // ascending by cookie

    int load(Union &fs, Node &folder);
};

}  // namespace unionfs
