// The OEM strings of this machine's firmware (SMBIOS type 11). A host uses them to pass text to whatever it boots. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mounts {

// `tables`: the structures, one after another (/sys/firmware/dmi/tables/DMI). Stops at a truncated structure.
std::vector<std::string> oem_strings(std::string_view tables);

}  // namespace mounts
