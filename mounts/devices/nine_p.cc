#include "mounts/devices/nine_p.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"

namespace mounts {

namespace {

constexpr std::string_view driver_directory = "/bus/virtio/drivers/9pnet_virtio";

}  // namespace

bool has_nine_p_driver(const std::string &sysfs) { return ::access((sysfs + std::string(driver_directory)).c_str(), F_OK) == 0; }

std::vector<std::string> offered_tags(const std::string &sysfs) {
    const std::string drivers = sysfs + std::string(driver_directory);
    std::vector<std::string> tags;
    for (const std::string &device : base::names_in(drivers).value_or(base::Names{})) {
        if (!device.starts_with("virtio")) continue;
        // A device that just went away offers nothing.
        if (auto tag = base::read_file(drivers + "/" + device + "/mount_tag", 4096)) {
            tag->erase(tag->find_last_not_of(std::string_view("\0\n", 2)) + 1);
            tags.push_back(std::move(*tag));
        }
    }
    std::ranges::sort(tags);
    return tags;
}

uint32_t choose_msize_bytes(uint64_t memory_bytes) {
    constexpr uint32_t largest = (128 - 3) * 4096;
    constexpr uint32_t kernel_default = 128 * 1024;
    return memory_bytes < (uint64_t{320} << 20) ? kernel_default : largest;
}

}  // namespace mounts
