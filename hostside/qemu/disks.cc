#include "hostside/qemu/parts.h"

#include <format>

#include "mounts/protocol.h"

namespace hostside {

namespace protocol = mounts::protocol;

namespace {

// One disk. The drive's id is made of our own characters; QEMU cuts a virtio serial at 20 bytes.
void add_disk(Argv &argv, const Machine &m, std::string_view id, const std::string &file, std::string_view format,
              std::string_view serial, bool read_only, int boot_index = 0) {
    add(argv, "-drive",
        std::format("if=none,id={},file={},format={},cache=writeback,werror=report{}", id, escaped(file), format,
                    read_only ? ",readonly=on" : ""));
    std::string device = "virtio-blk-pci";
    if (m.disk_interface == "scsi") device = "scsi-hd,bus=scsi.0";
    if (m.disk_interface == "ide") device = "ide-hd";
    std::string option = std::format("{},drive={}", device, id);
    if (!serial.empty()) option += std::format(",serial={}", escaped(serial));
    if (boot_index > 0) option += std::format(",bootindex={}", boot_index);
    add(argv, "-device", option);
}

}  // namespace

void add_disks(Argv &argv, const Machine &m, const HostFacts &facts) {
    if (m.disk_interface == "scsi") add(argv, "-device", "virtio-scsi-pci,id=scsi");
    if (!facts.root_image.empty())
        add_disk(argv, m, "root", facts.root_image, "qcow2", protocol::root_disk_serial, false, m.use_boot_loader ? 2 : 0);
    if (m.use_boot_loader) {
        add_disk(argv, m, "boot", m.boot_disk, "qcow2", "boot", false, 1);
        add(argv, "-boot", "menu=on");
    }
    for (size_t i = 0; i < facts.empty_images.size(); ++i)
        add_disk(argv, m, std::format("empty{}", i), facts.empty_images[i], "qcow2", std::format("empty{}", i), false);
    for (size_t i = 0; i < m.drives.size(); ++i)
        add_disk(argv, m, std::format("drive{}", i), m.drives[i].file, m.drives[i].format, m.drives[i].serial,
                 m.drives[i].read_only);
}

}  // namespace hostside
