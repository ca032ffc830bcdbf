#include "hostside/export/exported.h"

#include <algorithm>
#include <format>

namespace hostside {

base::Result<> refuse_unsayable(const std::string &form, const std::vector<std::pair<const char *, bool>> &said) {
    for (const auto &[key, is_said] : said)
        if (is_said)
            return base::fail(
                0, "export", key,
                std::format("{} can't express this; leave it out, or export for systemd or nomad, where runvm runs the machine",
                            form));
    return {};
}

std::vector<std::pair<const char *, bool>> of_runvm_alone(const Machine &m) {
    return {{"useBootLoader", m.use_boot_loader},
            {"useEFIBoot", m.use_efi_boot},
            {"useSecureBoot", m.use_secure_boot},
            {"bios", !m.bios.empty()},
            {"tpm", m.tpm},
            {"useNixStoreImage", m.use_nix_store_image},
            {"storeView", m.store_view == "closure"},
            {"shareKind", m.share_kind == "virtiofs"},
            {"sharedDirectories/proto",
             std::ranges::any_of(m.shared_directories, [](const SharedDirectory &s) { return s.proto == "virtiofs"; })},
            {"credentials", !m.credentials.empty()},
            {"useHostCerts", m.use_host_certs},
            {"graphics", m.graphics},
            {"backingFiles", !m.backing_files.empty()},
            {"restrictNetwork", m.restrict_network},
            {"qemu.networkingOptions", !m.networking_options.empty() || !m.user_network_options.empty()},
            {"qemu.options", !m.qemu_options.empty()},
            {"qemu.guestAgent", m.guest_agent},
            {"runAs", !m.run_as.empty()},
            {"timeout", m.timeout_s > 0}};
}

}  // namespace hostside
