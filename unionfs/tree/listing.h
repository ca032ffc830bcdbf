// The merged names of a directory, sorted by a hash of the name. This order doesn't depend on other names. So an offset from
// telldir stays valid while names come and go, after the listing was dropped and reread, and in another process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace unionfs {

struct Node;
class Union;

struct ListingEntry {
    uint64_t cookie;     // 3 or more: 1 and 2 are `.` and `..`
    ino_t number;        // visible st_ino of a lower file; 0: only a stat of the entry tells
    uint32_t name;       // offset in Listing::names
    uint16_t layer;      // 0: the upper, else 1 + index of the lower
    unsigned char type;  // DT_*
};

struct Listing {
    std::vector<ListingEntry> entries;  // sorted by cookie
    std::vector<char> names;            // zero-terminated
    size_t files = 0;                   // entries whose number is known
    bool has_subdirectories = false;

    int load(Union &fs, Node &directory);
    [[nodiscard]] const char *name_of(const ListingEntry &entry) const { return names.data() + entry.name; }

  private:
    int read_layer(Union &fs, int dir, uint16_t layer);
    void keep_topmost();
};

}  // namespace unionfs
