#include "hostside/snapshot/savable.h"

#include <algorithm>
#include <format>
#include <string_view>

#include "mounts/protocol.h"

namespace hostside {

using base::fail;
using base::Result;

std::string saved_store_kind(const Machine &m) {
    if (m.store_kind != "auto" || m.store.empty()) return m.store_kind;
    return m.snapshot_point == "ready" ? "erofs" : "9p";
}

// Each refusal with its reason, the most likely first.
Result<> can_be_saved(const Machine &m) {
    const bool ready = m.snapshot_point == "ready";
    const bool agent_off = std::ranges::contains(m.kernel_params, std::format("{}=off", mounts::protocol::agent_parameter));
    const struct {
        bool met;
        std::string_view what, why;
    } refusals[]{
        {m.store_kind == "virtiofs", "storeKind virtiofs",
         "virtiofsd would write to the memory that the forks share; pass --store-kind erofs, or 9p with --snapshot "
         "before-stage-2"},
        {m.share_kind == "virtiofs" ||
             std::ranges::any_of(m.shared_directories, [](const SharedDirectory &s) { return s.proto == "virtiofs"; }),
         "shareKind virtiofs", "virtiofsd would write into the memory that the forks share; pass --share-kind 9p"},
        {ready && m.store_kind == "9p" && !m.store.empty(), "storeKind 9p",
         "a ready machine has it mounted, and QEMU cannot save a machine with a mounted 9p directory; pass --store-kind erofs, "
         "or --snapshot before-stage-2"},
        {!m.initrd.empty(), "an initrd of your own",
         "stage 1 must take part, and only runvm's own initrd is sure to have that stage 1; leave it out"},
        {m.use_boot_loader, "useBootLoader", "the boot loader uses another initrd; leave it out"},
        {m.use_efi_boot, "useEFIBoot", "all forks would share one file of firmware variables; leave it out"},
        {m.tpm, "a TPM", "another program holds its state; leave it out"},
        {m.vsock_cid > 0, "vsock", "only one machine can have its number; leave it out"},
        {m.allow_reboot, "allowReboot", "a fork cannot reboot; leave it out"},
        {!m.run_as.empty(), "runAs", "the memory is a file that only you can read; leave it out"},
        {!m.empty_disks_mib.empty(), "emptyDiskImages", "only the root disk is saved with the machine; leave them out"},
        {std::ranges::any_of(m.drives, [](const Drive &d) { return !d.read_only; }), "drives",
         "only the root disk is saved with the machine; make the others readOnly, or leave them out"},
        {ready && agent_off, "stage1.agent=off", "the agent must take part; leave it out"},
    };
    for (const auto &refusal : refusals)
        if (refusal.met) return fail(0, "snapshot with", refusal.what, std::string(refusal.why));
    return {};
}

}  // namespace hostside
