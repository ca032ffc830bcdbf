// KVM or emulation. That /dev/kvm opens says little: on some hosts it makes a machine in which an ordinary kernel hangs.
// So the kernel that is to be booted is booted once, without disk or initrd, until it panics for want of a root: a guest
// that gets there runs. The answer is for the cache: it is that of this boot of this host, this QEMU and this kernel.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "mounts/base/error.h"

namespace hostside {

struct Accelerator {
    bool kvm = false;
    std::string reason;  // why not, in words for a person; empty with KVM
};

// `wanted` is auto, kvm or tcg. At most 10 s, once; `progress` is told before. Error: kvm is wanted and does not open.
base::Result<Accelerator> choose_accelerator(const std::string &wanted, const std::string &qemu, const std::string &kernel,
                                             const std::function<void(const std::string &)> &progress,
                                             std::vector<Remembered> &learned);

}  // namespace hostside
