// Writes an ext4 from memory to a disk in an order that survives a power cut at any moment (verdict.h lists the states).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "stage1/disk/ext4_image.h"

namespace stage1 {

// `disk` must read as zeros wherever the image has a hole, or hold parts of this very image. Returns when everything is durable
// except the cleared intent: if a power cut undoes that, the next run clears it again.
base::Result<> write_image(int disk, int image, const Ext4Recipe &recipe, const std::string &path);

// Only the last step, for a format that got that far.
base::Result<> clear_intent(int disk, const std::string &path);

}  // namespace stage1
