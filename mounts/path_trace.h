// Names that the guest (stage1) and the host (runvm) share so that the guest can report which store paths it uses. Extends
// protocol.h.
#pragma once

#include <string_view>

namespace mounts::protocol {

inline constexpr std::string_view union_trace_parameter = "stage1.union.trace";  // off | paths
inline constexpr std::string_view paths_file = "stage1-paths";                   // in xchg: store paths in use, one per line

}  // namespace mounts::protocol
