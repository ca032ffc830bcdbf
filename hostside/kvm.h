// Whether a guest really runs under KVM here. That /dev/kvm opens, and that it makes a virtual machine, proves nothing:
// on some hosts an ordinary kernel then hangs. So one boots, for a bounded time, and the answer is remembered.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

struct KvmAnswer {
    bool usable = false;
    std::string why;  // when not: what is missing and what to do
};

struct KvmProbe {
    std::string qemu, kernel, initrd;
    int timeout_ms = 10'000;
};

// Remembered for this boot of the host, this QEMU and this kernel, in the cache.
KvmAnswer probe_kvm(const KvmProbe &probe);

}  // namespace hostside
