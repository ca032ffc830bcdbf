// The merged names of a folder, in an order that doesn't depend on what else is in it: by a hash of the name. So an
// offset that telldir gave stays good while names come and go, after the listing was dropped and read again, and in
// another process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace unionfs {

struct Node;
class Union;

struct ListingEntry {
    uint64_t cookie;     // 3 or more: 1 and 2 are `.` and `..`
    ino_t number;        // the st_ino that is shown, of a lower's file; 0: only the entry itself tells
    uint32_t name;       // where it begins in Listing::names
    uint16_t layer;      // 0: the upper, else 1 + index of the lower
    unsigned char type;  // DT_*
};

struct Listing {
    std::vector<ListingEntry> entries;  // ascending by cookie
    std::vector<char> names;            // each with a zero byte at its end
    size_t files = 0;                   // of which the number is known
    bool has_subfolders = false;

    int load(Union &fs, Node &folder);
    [[nodiscard]] const char *name_of(const ListingEntry &entry) const { return names.data() + entry.name; }

  private:
    int read_layer(Union &fs, int dir, uint16_t layer);
    void keep_topmost();
};

}  // namespace unionfs
