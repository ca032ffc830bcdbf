// How far the reading of a disk is, for who waits: the launcher shows it in its line, and tells where a timeout found it.
#pragma once

#include <string>

#include "stage1/disk/zero_scan.h"

namespace stage1 {

ScanProgress tell_scan_of(const std::string &device);

}  // namespace stage1
