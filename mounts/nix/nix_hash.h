// SHA-256 in the spellings of Nix: base16, Nix's base 32 or base64; plain, with `sha256:`, or as SRI (`sha256-`, base64).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace mounts {

using Sha256 = std::array<unsigned char, 32>;

// Without e, o, t and u. In ascending order, so that texts sort like their values.
inline constexpr std::string_view nix32_digits = "0123456789abcdfghijklmnpqrsvwxyz";

// Accepts any of these spellings. Absent: none of them.
std::optional<Sha256> parse_hash(std::string_view text);
std::string base16(const Sha256 &hash);
std::string nix32(const Sha256 &hash);

}  // namespace mounts
