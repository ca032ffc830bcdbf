// How the guest (stage1) tells the host (runvm) which store paths it uses, beside what protocol.h says. Only names.
#pragma once

#include <string_view>

namespace mounts::protocol {

inline constexpr std::string_view union_trace_parameter = "stage1.union.trace";  // off | paths
inline constexpr std::string_view paths_file = "stage1-paths";                   // in xchg: names of those in use, a line each

}  // namespace mounts::protocol
