// Chooses KVM or emulation. A /dev/kvm that opens proves little: on some hosts an ordinary kernel hangs in such a machine. So
// the kernel is booted once without disk or initrd, until it panics because it has no root; then KVM works. The answer is
// cached for this boot of this host, this QEMU and this kernel.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "mounts/base/error.h"

namespace hostside {

struct Accelerator {
    bool kvm = false;
    std::string reason;  // why not KVM, in words for a person; empty with KVM
};

// `wanted` is auto, kvm or tcg. Takes at most 10 s, once, and calls `progress` first. Error: kvm is wanted but cannot be
// opened.
base::Result<Accelerator> choose_accelerator(const std::string &wanted, const std::string &qemu, const std::string &kernel,
                                             const std::function<void(const std::string &)> &progress,
                                             std::vector<Remembered> &learned);

}  // namespace hostside
