// How near a word that nobody knows is to one that is known, for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace hostside {

// How many letters must be changed, added, left out or exchanged with their neighbour, whatever their case (the optimal string
// alignment distance). SIZE_MAX when a word is longer than any of ours.
size_t letters_apart(std::string_view a, std::string_view b);

}  // namespace hostside
