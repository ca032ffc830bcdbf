#include "hostside/environment.h"

#include "hostside/words.h"
#include "mounts/parameter.h"

namespace hostside {

base::Result<HostFolders> apply_environment(Machine &machine, const GetVariable &get) {
    HostFolders folders;
    // Set and empty means: no disk.
    if (auto image = get("NIX_DISK_IMAGE")) machine.disk_image = *image;
    if (auto use = get("USE_TMPDIR"); use && !use->empty()) folders.run_directory = get("TMPDIR").value_or("");
    folders.shared = get("SHARED_DIR").value_or("");
    if (auto network = get("QEMU_NET_OPTS")) {
        // The script's users write a leading comma or not.
        machine.network_options = network->starts_with(',') ? network->substr(1) : *network;
    }
    for (const auto &[name, value] : mounts::parse_command_line(get("QEMU_KERNEL_PARAMS").value_or("")))
        machine.kernel_parameters.push_back(value ? name + "=" + *value : name);
    auto options = split_words(get("QEMU_OPTS").value_or(""), "QEMU_OPTS");
    if (!options) return std::unexpected(options.error());
    machine.qemu_options.insert(machine.qemu_options.end(), options->begin(), options->end());
    return folders;
}

}  // namespace hostside
