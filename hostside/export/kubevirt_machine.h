// A machine as a VirtualMachine of KubeVirt's, in JSON, which `kubectl apply -f` takes. Pure.
#pragma once

#include <string>

#include "hostside/export/exported.h"
#include "mounts/base/error.h"

namespace hostside {

// `image`: a container image with /boot/kernel, /boot/initrd and, where the machine has a store, /disk/store.erofs: a cluster's
// nodes have no files of ours. The machine's storeKind is erofs then. Error: what KubeVirt can't be told of it, by its key.
base::Result<std::string> kubevirt_machine(const Exported &exported, const std::string &image);

}  // namespace hostside
