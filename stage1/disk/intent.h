// The intent: 512 bytes in sector 0, which ext4 does not use. It says "an ext4 by this recipe is being written here". A format
// writes and flushes the intent first and clears it last. The intent contains the whole recipe, so that the next boot can
// compute what the disk may hold. Pure: bytes in, bytes out.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "stage1/disk/ext4_image.h"

namespace stage1 {

inline constexpr size_t intent_bytes = 512;
using IntentSector = std::array<std::byte, intent_bytes>;

IntentSector encode_intent(const Ext4Recipe &recipe);

// Nothing if the sector is not an intent: another magic or version, a wrong checksum, or data behind its end.
std::optional<Ext4Recipe> decode_intent(std::span<const std::byte, intent_bytes> sector);

}  // namespace stage1
