#include "hostside/description/machine.h"

#include <variant>

#include "hostside/base/shell_words.h"
#include "hostside/description/merge.h"
#include "hostside/description/option.h"

namespace hostside {

namespace {

std::string string_in(const Json &object, const char *key) { return object[key].get<std::string>(); }

// Stores each value in the member that its option's row names.
void fill(Machine &machine, const Json &values, const std::vector<Option> &options) {
    for (const auto &option : options) {
        const Json &value = values[std::string(option.name)];
        if (option.kind == Kind::group) fill(machine, value, option.fields);
        if (value.is_null()) continue;
        std::visit(
            [&]<class Member>(Member member) {
                if constexpr (!std::is_same_v<Member, std::monostate>) value.get_to(machine.*member);
            },
            option.place);
    }
}

std::vector<std::string> split(const std::vector<std::string> &texts) {
    std::vector<std::string> all;
    for (const auto &one : texts) {
        const auto words = split_words(one, "");
        if (words) all.insert(all.end(), words->begin(), words->end());  // check() has already reported bad quotes
    }
    return all;
}

}  // namespace

Machine machine_from_json(const Json &value) {
    Machine m;
    fill(m, value, options());
    // NixOS's name for it. An explicit store kind takes precedence.
    if (m.use_nix_store_image && m.store_kind == "auto") m.store_kind = "erofs";
    // runvm makes the boot disk if it knows the system.
    if (m.use_boot_loader && m.boot_disk.empty() && !m.toplevel.empty()) {
        m.boot_disk = "./" + m.name + "-boot.qcow2";
        m.boot_disk_format = "qcow2";
    }
    if (m.efi_own_variables.empty()) m.efi_own_variables = "./" + m.name + "-efi-vars.fd";
    if (m.tpm_state.empty()) m.tpm_state = "./" + m.name + "-swtpm";
    if (m.use_secure_boot) {
        // The firmware protects its variables from the guest with system management mode, which pc does not have.
        m.use_efi_boot = true;
        m.machine_type = "q35";
    }
    m.qemu_options = split(m.qemu_options);
    m.networking_options = split(m.networking_options);
    for (const auto &d : value["drives"])
        m.drives.push_back({string_in(d, "file"), string_in(d, "serial"), string_in(d, "format"), d["readOnly"].get<bool>()});
    for (const auto &s : value["sharedDirectories"])
        m.shared_directories.push_back({string_in(s, "tag"), string_in(s, "source"), string_in(s, "target"),
                                        string_in(s, "securityModel"), string_in(s, "proto"), s["readOnly"].get<bool>()});
    for (const auto &p : value["forwardPorts"])
        m.forward_ports.push_back({string_in(p, "from"), string_in(p, "proto"), string_in(p["host"], "address"),
                                   string_in(p["guest"], "address"), p["host"]["port"].get<int>(),
                                   p["guest"]["port"].get<int>()});
    for (const auto &c : value["credentials"]) m.credentials.push_back({string_in(c, "name"), string_in(c, "source")});
    for (const auto &i : value["interfaces"]) m.interfaces.push_back({string_in(i, "name"), i["vlan"].get<int>()});
    return m;
}

}  // namespace hostside
