#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject hardware_options() {
    Option memory = integer("memorySize", &M::memory_mib, {64, 16 << 20}, "1024", "MIB", "memory in MiB");
    memory.flags = "-m,--memory";
    Option accelerator = choice("accelerator", &M::accelerator, {"auto", "kvm", "tcg"}, "\"auto\"",
                                "auto proves KVM with a guest before it is used");
    accelerator.flags = "--accel";
    Option resolution = group("resolution", "of the window",
                              {required(integer("x", &M::width, {64, 16384}, "", "PIXELS", "width")),
                               required(integer("y", &M::height, {64, 16384}, "", "PIXELS", "height"))});
    resolution.shorthand = resolution_from;
    resolution.shorthand_form = "WIDTHxHEIGHT";
    Option vsock{.name = "vsock",
                 .kind = Kind::integer,
                 .help = "the guest's vsock address, 3 or more; 0: no vsock",
                 .place = &M::vsock_cid,
                 .fallback = "0",
                 .least = 0,
                 .most = 0xfffffffeLL,
                 .value = "CID"};
    Option tpm = group("tpm", "a trusted platform module", {later("enable", "a TPM is not built in yet")});
    tpm.fields.front().flag = "--tpm";
    return {"Hardware",
            {std::move(memory), integer("cores", &M::cores, {1, 1024}, "1", "N", "processors"),
             text("cpu", &M::cpu, "MODEL", "processor model; empty: host under KVM, else max"), std::move(accelerator),
             boolean("graphics", &M::graphics, false, "a window instead of the terminal alone"), std::move(resolution),
             boolean("rng", &M::rng, true, "entropy for the guest"), boolean("balloon", &M::balloon, false, "a memory balloon"),
             std::move(vsock), std::move(tpm)}};
}

}  // namespace hostside
