#include <sys/mman.h>

#include <catch_amalgamated.hpp>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "unionfs/base/fd_cache.h"
#include "unionfs/recovery/shared_memory.h"
#include "unionfs/tree/inode_table.h"

using unionfs::InodeTable;
using unionfs::Node;

namespace {

struct Table {
    unionfs::SharedMemory memory{};
    unionfs::FdCache cache{64};
    std::optional<InodeTable> nodes{};
    std::vector<Node *> directories{};
    Node *file = nullptr;

    Table() {
        REQUIRE(memory.make());
        nodes.emplace(cache, memory, [](ino_t) {});
        for (ino_t i = 1; i <= 3; ++i)
            directories.push_back(nodes->intern({1, i}, nullptr, {}, [](Node &node) { node.type = S_IFDIR; }));
        file = nodes->intern({1, 9}, nullptr, {}, [](Node &node) { node.type = S_IFREG; });
    }
    std::multiset<std::pair<Node *, std::string>> names() {
        std::multiset<std::pair<Node *, std::string>> found;
        for (const unionfs::Link &link : nodes->links(file)) found.emplace(link.parent, link.name);
        return found;
    }
};

// Bytes of the mapping at this address that were touched since the process's marks were cleared, proc_pid_smaps(5).
size_t touched(const void *start) {
    std::ostringstream wanted;
    wanted << std::hex << reinterpret_cast<uintptr_t>(start);
    std::ifstream maps("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        if (const size_t dash = line.find('-'); dash != std::string::npos && dash < line.find(' '))
            inside = line.substr(0, dash) == wanted.str();
        if (inside && line.starts_with("Referenced:")) return std::stoul(line.substr(11)) * 1024;
    }
    return 0;
}

}  // namespace

TEST_CASE("a node has the names that a set has after any additions, removals and moves, few or many") {
    std::mt19937 random(1);
    Table table;
    std::set<std::pair<Node *, std::string>> known;
    const auto some_place = [&] {
        return std::pair{table.directories[random() % table.directories.size()], std::to_string(random() % 400)};
    };
    for (const unsigned additions_of_ten : {9U, 5U, 1U, 8U, 0U}) {
        for (int i = 0; i < 5000; ++i) {
            const auto [parent, name] = some_place();
            const auto [new_parent, new_name] = some_place();
            if (random() % 4 == 0 && known.contains({parent, name}) && !known.contains({new_parent, new_name})) {
                table.nodes->move_link(table.file, parent, name, new_parent, new_name);
                known.erase({parent, name});
                known.emplace(new_parent, new_name);
            } else if (random() % 10 < additions_of_ten) {
                table.nodes->add_link(table.file, parent, name);
                known.emplace(parent, name);
            } else {
                known.erase({parent, name});
                REQUIRE(table.nodes->remove_link(table.file, parent, name) == known.empty());
            }
            REQUIRE(table.nodes->has_several_names(table.file) == (known.size() > 1));
        }
        REQUIRE(table.names() == std::multiset<std::pair<Node *, std::string>>(known.begin(), known.end()));
        for (Node *directory : table.directories) {
            const auto children = std::ranges::count_if(known, [&](const auto &place) { return place.first == directory; });
            REQUIRE(directory->children == static_cast<uint64_t>(children));
        }
    }
}

TEST_CASE("of a file with twenty thousand names, none but those that change are touched") {
    Table table;
    Node *directory = table.directories.front();
    const auto name_of = [](int number) { return "a-name-of-some-length-" + std::to_string(number); };
    for (int i = 0; i < 20'000; ++i) table.nodes->add_link(table.file, directory, name_of(i));
    std::ofstream("/proc/self/clear_refs") << 1;
    if (touched(table.memory.start()) != 0) SKIP("this kernel doesn't tell which memory was touched");
    for (int i = 20'000; i < 20'100; ++i) {
        table.nodes->add_link(table.file, directory, name_of(i));
        CHECK(table.nodes->first_link(table.file)->name == name_of(0));
    }
    for (int i = 19'950; i < 20'050; ++i) table.nodes->remove_link(table.file, directory, name_of(i));
    const size_t bytes = touched(table.memory.start());
    CHECK(bytes > 0);
    CHECK(bytes < 100'000);  // the entries take more than a million
}

TEST_CASE("whoever goes up the tree keeps the directory that is left and forgotten meanwhile") {
    Table table;
    Node *old_place = table.directories[0], *new_place = table.directories[1], *moved = table.directories[2];
    table.nodes->add_link(moved, old_place, "name");
    const size_t all = table.nodes->size();
    {
        const auto held = table.nodes->hold_first_link(moved);
        REQUIRE(held);
        CHECK((*held)->name == "name");
        table.nodes->move_link(moved, old_place, "name", new_place, "name");
        table.nodes->forget(old_place, 1);
        CHECK(table.nodes->size() == all);
        CHECK((*held)->parent == old_place);
    }
    CHECK(table.nodes->size() == all - 1);
    CHECK_FALSE(table.nodes->hold_first_link(new_place));
}
