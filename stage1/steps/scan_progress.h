// Reports the progress of reading a disk. The launcher shows it in its line, and after a timeout says how far the scan was.
#pragma once

#include <string>

#include "stage1/disk/zero_scan.h"

namespace stage1 {

ScanProgress tell_scan_of(const std::string &device);

}  // namespace stage1
