// The merged names of a folder, in an order that doesn't depend on what else is in it: by a hash of the name. So an
// offset that telldir gave stays good while names come and go, after the listing was dropped and read again, and in
// another process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace unionfs {

struct Node;
struct Union;

struct ListingEntry {
    uint64_t cookie;     // 3 or more: 1 and 2 are `.` and `..`
    ino_t number;        // the st_ino that is shown, of a lower's file; 0: only the entry itself tells
    unsigned layer;      // 0: the upper, else 1 + index of the lower
    unsigned char type;  // DT_*
    std::string name;
};

struct Listing {
    std::vector<ListingEntry> entries;  // ascending by cookie
    size_t files = 0;                   // of which the number is known
    bool has_subfolders = false;

    int load(Union &fs, Node &folder);
};

}  // namespace unionfs
