#include "hostside/description/environment.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>

namespace hostside {

namespace {

// nixpkgs replaces characters that a variable's name can't contain with `_`.
std::string variable_name(std::string name) {
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return "NIXPKGS_QEMU_KERNEL_" + name;
}

}  // namespace

base::Result<std::vector<Layer>> environment_layers(const std::function<const char *(const char *)> &get,
                                                    const std::string &name) {
    std::vector<Layer> layers;
    const auto take = [&](const std::string &variable, std::string_view key, bool empty_counts) -> base::Result<> {
        const char *value = get(variable.c_str());
        if (value == nullptr || (*value == '\0' && !empty_counts)) return {};
        auto layer = setting(key, value, "environment " + variable);
        if (!layer) return std::unexpected(layer.error());
        layers.push_back(std::move(*layer));
        return {};
    };
    const std::array<std::tuple<std::string, const char *, bool>, 8> variables{{
        {"NIX_DISK_IMAGE", "diskImage", true},  // empty: a root on tmpfs
        {"SHARED_DIR", "sharedDir", false},
        {"NIX_EFI_VARS", "efi.ownVariables", false},
        {"NIX_SWTPM_DIR", "tpm.stateDirectory", false},
        {"QEMU_OPTS", "qemu.options", false},
        {"QEMU_NET_OPTS", "qemu.userNetworkOptions", false},
        {"QEMU_KERNEL_PARAMS", "kernelParams", false},
        {variable_name(name), "kernel", false},
    }};
    for (const auto &[variable, key, empty_counts] : variables)
        if (auto ok = take(variable, key, empty_counts); !ok) return std::unexpected(ok.error());
    return layers;
}

}  // namespace hostside
