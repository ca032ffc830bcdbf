// Puts an ext4 from memory onto a disk in an order that survives a power cut at any moment (verdict.h has the states).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "stage1/disk/ext4_image.h"

namespace stage1 {

// `disk` reads as zeros wherever the image has a hole, or holds parts of this very image. Returns when all is
// durable but the clearing of the intent: a power cut that undoes it only has the next run clear it again.
base::Result<> write_image(int disk, int image, const Ext4Recipe &recipe, const std::string &path);

// The last of its steps alone, for a format that had come that far.
base::Result<> clear_intent(int disk, const std::string &path);

}  // namespace stage1
