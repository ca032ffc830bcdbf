#include <catch_amalgamated.hpp>
#include <map>
#include <random>

#include "unionfs/tree/key_table.h"

using unionfs::Key;
using unionfs::KeyTable;
using unionfs::Node;

TEST_CASE("a key table has what a map has after any puts and erasures") {
    std::mt19937 random(1);
    std::vector<Node> nodes(3);
    KeyTable table;
    std::map<std::pair<dev_t, ino_t>, Node *> known;
    // The table grows, fills with colliding neighbors, and shrinks.
    for (const int puts_of_ten : {8, 5, 1, 9, 0}) {
        for (int i = 0; i < 100'000; ++i) {
            const Key key{random() % 2, random() % 3000};
            Node *node = &nodes[random() % nodes.size()];
            const auto at = known.find({key.device, key.inode});
            if (static_cast<int>(random() % 10) < puts_of_ten) {
                table.put(key, node);
                known[{key.device, key.inode}] = node;
            } else {
                table.erase(key, node);
                if (at != known.end() && at->second == node) known.erase(at);
            }
        }
        for (ino_t inode = 0; inode < 3000; ++inode)
            for (dev_t device = 0; device < 2; ++device) {
                const auto at = known.find({device, inode});
                CHECK(table.find({device, inode}) == (at == known.end() ? nullptr : at->second));
            }
    }
    CHECK(known.size() < 100);
}
