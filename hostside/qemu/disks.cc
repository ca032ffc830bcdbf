#include "hostside/qemu/parts.h"

#include <format>
#include <set>

#include "mounts/protocol.h"

namespace hostside {

namespace protocol = mounts::protocol;

namespace {

constexpr size_t serial_limit_bytes = 20;  // VIRTIO_BLK_ID_BYTES

struct Disk {
    std::string id, file, format, serial;  // the id consists of our own characters
    bool read_only = false;
    int boot_index = 0;
    std::string_view cache = "writeback";
};

// QEMU fills only the first bus of IDE by itself: two disks per bus on pc, one on q35 (AHCI).
struct IdeRoom {
    size_t buses, disks_a_bus;
};
IdeRoom ide_room(const Machine &m) { return m.machine_type == "q35" ? IdeRoom{6, 1} : IdeRoom{2, 2}; }

std::string device_of(const Machine &m, size_t index) {
    if (m.disk_interface == "scsi") return "scsi-hd,bus=scsi.0";
    if (m.disk_interface != "ide") return "virtio-blk-pci";
    const size_t each = ide_room(m).disks_a_bus;
    return std::format("ide-hd,bus=ide.{},unit={}", index / each, index % each);
}

void add_disk(Argv &argv, const Machine &m, const Disk &disk, size_t index) {
    // IDE hard disks cannot be read-only. The guest's writes go to a temporary file that QEMU removes.
    const std::string_view kept = !disk.read_only ? "" : m.disk_interface == "ide" ? ",snapshot=on" : ",readonly=on";
    add(argv, "-drive",
        std::format("if=none,id={},file={},format={},cache={},werror=report{}", disk.id, escaped(disk.file), disk.format,
                    disk.cache, kept));
    std::string option = std::format("{},drive={}", device_of(m, index), disk.id);
    if (!disk.serial.empty()) option += std::format(",serial={}", escaped(disk.serial));
    if (disk.boot_index > 0) option += std::format(",bootindex={}", disk.boot_index);
    add(argv, "-device", option);
}

base::Result<> check_serials(const std::vector<Disk> &disks) {
    std::set<std::string_view> serials;
    for (const auto &disk : disks) {
        if (disk.serial.size() > serial_limit_bytes)
            return base::fail(0, "add disk", disk.file,
                              std::format("serial {} has {} bytes, but a guest sees only {}; shorten it", disk.serial,
                                          disk.serial.size(), serial_limit_bytes));
        if (!disk.serial.empty() && !serials.insert(disk.serial).second)
            return base::fail(
                0, "add disk", disk.file,
                std::format("another disk has serial {} too; change one, because the guest identifies disks by serial",
                            disk.serial));
    }
    return {};
}

}  // namespace

base::Result<> add_disks(Argv &argv, const Machine &m, const HostFacts &facts) {
    std::vector<Disk> disks;
    if (!facts.root_image.empty())
        disks.push_back({"root", facts.root_image, m.ephemeral ? "qcow2" : m.disk_image_format,
                         std::string(protocol::root_disk_serial), false, m.use_boot_loader ? 2 : 0});
    // After the root disk, because a guest without our `root=` takes /dev/vda for its root; but booted first.
    if (m.use_boot_loader)
        disks.push_back({"boot", m.boot_disk, m.boot_disk_format, std::string(protocol::boot_disk_serial), true, 1});
    for (size_t i = 0; i < facts.empty_images.size(); ++i) {
        const std::string name = std::format("empty{}", i);
        disks.push_back({name, facts.empty_images[i], "qcow2", name});
    }
    for (size_t i = 0; i < m.drives.size(); ++i)
        disks.push_back(
            {std::format("drive{}", i), m.drives[i].file, m.drives[i].format, m.drives[i].serial, m.drives[i].read_only});
    // Last, for guests that count disks. No cache flush is needed, because nothing is ever written to it.
    if (!facts.store_image.empty())
        disks.push_back({"store", facts.store_image, "raw", std::string(protocol::store_disk_serial), true, 0, "unsafe"});
    if (auto ok = check_serials(disks); !ok) return ok;
    if (m.disk_interface == "scsi") add(argv, "-device", "virtio-scsi-pci,id=scsi");
    const auto [buses, each] = ide_room(m);
    if (m.disk_interface == "ide" && disks.size() > buses * each)
        return base::fail(
            0, "add disk", disks[buses * each].file,
            std::format("IDE has room for {} disks on {}; use qemu.diskInterface scsi or virtio", buses * each, m.machine_type));
    for (size_t i = 0; i < disks.size(); ++i) add_disk(argv, m, disks[i], i);
    // If nothing can be booted, do not wait a minute.
    if (m.use_boot_loader && !m.use_efi_boot) add(argv, "-boot", "menu=on,reboot-timeout=0");
    return {};
}

}  // namespace hostside
