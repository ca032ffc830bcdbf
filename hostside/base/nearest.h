// The distance between an unknown word and a known one, for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace hostside {

// The number of letters to change, add, remove or swap with a neighbor, ignoring case (the optimal string alignment distance).
// SIZE_MAX if a word is longer than any known word.
size_t letters_apart(std::string_view a, std::string_view b);

}  // namespace hostside
