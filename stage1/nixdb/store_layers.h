// What lies beneath the union over the store, where there is one: the host's store, and what the guest changed.
#pragma once

#include <string>

#include "mounts/base/fd.h"

namespace stage1::nixdb {

struct StoreLayers {
    base::Fd lower{}, upper{};  // O_PATH; invalid without a union, or where both are on one file system

    static StoreLayers open(int root);

    // The upper has no more of the store path `name` than changes to one that the host's store had and has no longer. What the
    // guest adds itself is whole. A file is copied up whole, so only a directory can be such a rest.
    [[nodiscard]] bool has_only_changes(const std::string &name) const;
};

}  // namespace stage1::nixdb
