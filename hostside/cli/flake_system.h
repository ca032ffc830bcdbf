// A system named as nixos-rebuild does, by a flake and a host in it: FLAKE#HOST. Nix builds it; without nix it is an error.
// Directories with a # in their name are not supported.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// What `nix build` must build for FLAKE#HOST, as in nixos-rebuild --flake. Empty: no # in the word. Error: invalid host name.
base::Result<std::optional<std::string>> flake_output(std::string_view word);

// The system's store path, or `word` itself if it names no flake.
base::Result<std::string> system_of(const std::string &word);

}  // namespace hostside
