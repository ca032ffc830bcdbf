// The phases of a boot, in order. Each is planned and run before the next one. Their names are those of reports, of
// `stage1.break=` and of the status port's `phase` lines.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace mounts {

enum class PhaseName { modules, devices, mounts, system, registration, switch_root };

inline constexpr std::array<std::string_view, 6> phase_names{"modules", "devices", "mounts", "system", "register", "switch_root"};

constexpr std::string_view name(PhaseName phase) { return phase_names[static_cast<size_t>(phase)]; }

}  // namespace mounts
