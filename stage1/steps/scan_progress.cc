#include "stage1/steps/scan_progress.h"

#include <format>

#include "mounts/devices/device.h"
#include "stage1/base/tell_host.h"

namespace stage1 {

ScanProgress tell_scan_of(const std::string &device) {
    return [device](uint64_t read_bytes, uint64_t all_bytes) {
        mention_to_host(std::format("step read {} to its end, is it empty? {} of {}", device, mounts::size_text(read_bytes),
                                    mounts::size_text(all_bytes)));
    };
}

}  // namespace stage1
