#include "unionfs/tree/union.h"

#include <sys/stat.h>

#include <utility>

#include "unionfs/recovery/handover.h"

namespace unionfs {

Union::Union(Layers &opened, SharedMemory &shared)
    : cache(opened.options.max_files),
      hard_links(opened),
      layers(opened),
      options(opened.options),
      memory(shared),
      journal(handover_of(shared).journal),
      table(cache, shared, [this](ino_t name) { let_orphan_go(name); }) {}

void Union::make_root() {
    struct stat status{};
    (void)::fstat((layers.upper ? layers.upper : layers.lowers.front())->get(), &status);  // can't fail on an open descriptor
    const Key key{status.st_dev, status.st_ino};
    root = table.intern(key, nullptr, {}, [&](Node &node) {
        node.type = S_IFDIR;
        (layers.upper ? node.upper_key : node.lower_key) = key;
        node.shown_inode = layers.number_of(key);
        fill_root(node);
    });
    handover_of(memory).root = table.reference(root);
    hard_links.load();
}

void Union::fill_root(Node &node) {
    node.restored = true;
    node.upper = layers.upper != nullptr;
    if (bool opaque = false; layers.upper && layers.marks.is_opaque(layers.upper->get(), ".", opaque) == 0 && opaque) return;
    for (size_t i = 0; i < layers.lowers.size(); ++i) {
        auto dir = std::make_shared<LowerDir>();
        dir->layer = i;
        dir->last = i + 1 == layers.lowers.size();
        node.lowers.push_back(std::move(dir));
    }
}

}  // namespace unionfs
