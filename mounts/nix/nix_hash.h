// SHA-256 as Nix spells it: base16, its own base 32, base64; plain, with `sha256:`, or SRI `sha256-` before base64.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace mounts {

using Sha256 = std::array<unsigned char, 32>;

// No e, o, t, u; in ascending order, so that texts sort as their values do.
inline constexpr std::string_view nix32_digits = "0123456789abcdfghijklmnpqrsvwxyz";

// Any of the spellings. Absent: none of them.
std::optional<Sha256> parse_hash(std::string_view text);
std::string base16(const Sha256 &hash);
std::string nix32(const Sha256 &hash);

}  // namespace mounts
