#include "mounts/devices/driverless.h"

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"

namespace mounts {

namespace {

constexpr size_t id_bytes = 32;

// The ids are those of the virtio specification, "Device Types", and of PCI's vendor Red Hat, whose devices are virtio's.
bool lacks_driver(const std::string &bus, std::string_view attribute, std::string_view id) {
    const auto devices = base::open_at(AT_FDCWD, bus, O_RDONLY | O_DIRECTORY);
    const auto names = devices ? base::names_in(devices->get(), bus) : std::unexpected(devices.error());
    if (!names) return false;
    for (const auto &name : *names) {
        const std::string device = bus + "/" + name;
        const std::string read = base::read_file(device + "/" + std::string(attribute), id_bytes).value_or("");
        if (read.starts_with(id) && ::access((device + "/driver").c_str(), F_OK) < 0) return true;
    }
    return false;
}

}  // namespace

std::string missing_disk_driver() {
    const std::string virtio = "/sys/bus/virtio/devices";
    if (lacks_driver(virtio, "device", "0x0002")) return "virtio_blk";
    if (lacks_driver(virtio, "device", "0x0008")) return "virtio_scsi";
    return lacks_driver("/sys/bus/pci/devices", "vendor", "0x1af4") ? "virtio_pci" : "";
}

}  // namespace mounts
