#include "hostside/base/run_names.h"

#include <format>

namespace hostside {

std::string vlan_folder(const std::string &runtime, int vlan) { return std::format("{}/.vlan-{}", runtime, vlan); }
std::string vlan_guest_socket(const std::string &folder, int node) { return std::format("{}/{}", folder, node); }
std::string vlan_switch_socket(const std::string &folder, int node) { return std::format("{}/{}.switch", folder, node); }

}  // namespace hostside
