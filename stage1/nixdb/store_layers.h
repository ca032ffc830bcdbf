// The layers of the union over the store, if there is one: the host's store, and the guest's changes.
#pragma once

#include <string>

#include "mounts/base/fd.h"

namespace stage1::nixdb {

struct StoreLayers {
    base::Fd lower{}, upper{};  // O_PATH; invalid without a union, or if both are on one file system

    static StoreLayers open(int root);

    // Whether the upper only has changes to this store path, which the host's store used to have. Paths that the guest added
    // are complete. Files are copied up whole, so only a directory can be such a remnant.
    [[nodiscard]] bool has_only_changes(const std::string &name) const;
};

}  // namespace stage1::nixdb
