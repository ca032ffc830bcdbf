// The OEM strings of this machine's firmware (SMBIOS type 11), by which a host says something to whatever it boots. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mounts {

// `tables`: the structures, one behind the other (/sys/firmware/dmi/tables/DMI). What is cut short ends them.
std::vector<std::string> oem_strings(std::string_view tables);

}  // namespace mounts
