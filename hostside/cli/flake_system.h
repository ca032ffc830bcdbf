// A system that is named as nixos-rebuild names one, by a flake and a host in it: FLAKE#HOST. Nix builds it; without a nix it is
// refused. Not for a directory whose name has a # in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// What `nix build` is to make of FLAKE#HOST, as nixos-rebuild --flake has it. Nothing: it has no #. Error: no such host can be.
base::Result<std::optional<std::string>> flake_output(std::string_view word);

// The system's path in the store, or `word` itself, when that names no flake.
base::Result<std::string> system_of(const std::string &word);

}  // namespace hostside
