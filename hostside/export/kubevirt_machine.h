// A machine as a KubeVirt VirtualMachine, in JSON for `kubectl apply -f`. Pure.
#pragma once

#include <string>

#include "hostside/export/exported.h"
#include "mounts/base/error.h"

namespace hostside {

// `image`: a container image with /boot/kernel, /boot/initrd and, if the machine has a store, /disk/store.erofs, because a
// cluster's nodes have none of our files. The machine's storeKind must be erofs. Error: names the key that KubeVirt cannot
// express.
base::Result<std::string> kubevirt_machine(const Exported &exported, const std::string &image);

}  // namespace hostside
