#include "hostside/base/run_names.h"

#include <format>

namespace hostside {

std::string vlan_directory(const std::string &runtime, int vlan) { return std::format("{}/.vlan-{}", runtime, vlan); }
std::string vlan_guest_socket(const std::string &directory, int node) { return std::format("{}/{}", directory, node); }
std::string vlan_switch_socket(const std::string &directory, int node) { return std::format("{}/{}.switch", directory, node); }

}  // namespace hostside
