#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject hardware_options() {
    Option memory = integer("memorySize", &M::memory_mib, {64, 16 << 20}, "1024", "MIB", "memory in MiB");
    memory.flags = "-m,--memory";
    Option accelerator = choice("accelerator", &M::accelerator, {"auto", "kvm", "tcg"}, "\"auto\"",
                                "auto: KVM if a test guest runs with it, else tcg");
    accelerator.flags = "--accel";
    Option resolution = group("resolution", "the window's size",
                              {required(integer("x", &M::width, {64, 16384}, "", "PIXELS", "width in pixels")),
                               required(integer("y", &M::height, {64, 16384}, "", "PIXELS", "height in pixels"))});
    resolution.shorthand = resolution_from;
    resolution.shorthand_form = "WIDTHxHEIGHT";
    Option vsock{.name = "vsock",
                 .kind = Kind::integer,
                 .help = "the guest's vsock address, at least 3; 0: no vsock",
                 .place = &M::vsock_cid,
                 .fallback = "0",
                 .least = 0,
                 .most = 0xfffffffeLL,
                 .value = "CID"};
    Option enable = boolean("enable", &M::tpm, false, "a TPM 2.0, provided by swtpm");
    enable.flag = "--tpm";
    Option model = choice("deviceModel", &M::tpm_model, {"tpm-tis", "tpm-crb"}, "\"tpm-tis\"", "the device that the guest sees");
    model.flag = "--tpm-device-model";
    Option provisioning =
        text("provisioning", &M::tpm_provisioning, "LINES",
             "shell lines that the host runs at each start, before the guest gets the TPM; tpm2-tools can access it");
    provisioning.flag = "--tpm-provisioning";
    Option state = text("stateDirectory", &M::tpm_state, "DIR", "the directory of the TPM's state; default: ./NAME-swtpm");
    state.flag = "--tpm-state-directory";
    Option program = with_default("\"swtpm\"", text("program", &M::swtpm, "FILE", "the swtpm program"));
    program.flag = "--tpm-program";
    Option tpm = group("tpm", "a trusted platform module",
                       {std::move(enable), std::move(model), std::move(provisioning), std::move(state), std::move(program)});
    return {"Hardware",
            {std::move(memory), integer("cores", &M::cores, {1, 1024}, "1", "N", "number of processors"),
             text("cpu", &M::cpu, "MODEL", "processor model; empty: host under KVM, else max"), std::move(accelerator),
             boolean("graphics", &M::graphics, false, "a window in addition to the terminal"), std::move(resolution),
             boolean("rng", &M::rng, true, "a source of random numbers for the guest"),
             boolean("balloon", &M::balloon, false, "a memory balloon"), std::move(vsock), std::move(tpm)}};
}

}  // namespace hostside
