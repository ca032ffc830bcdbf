#include "hostside/boot/guest_fstab.h"

#include <algorithm>
#include <array>
#include <format>

#include "mounts/protocol.h"

namespace hostside {

namespace {

namespace protocol = mounts::protocol;

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    while (true) {
        text.remove_prefix(std::min(text.size(), text.find_first_not_of(separators)));
        if (text.empty()) return parts;
        parts.push_back(text.substr(0, text.find_first_of(separators)));
        text.remove_prefix(parts.back().size());
    }
}

bool is_device(std::string_view source) {
    constexpr std::array<std::string_view, 6> beginnings{"/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="};
    return std::ranges::any_of(beginnings, [&](std::string_view beginning) { return source.starts_with(beginning); });
}

// Only the root disk has a known label, and none of our disks has partitions.
bool is_here(std::string_view source, const Machine &m) {
    constexpr std::string_view by_label = "/dev/disk/by-label/", by_serial = "/dev/disk/by-id/virtio-", virtio = "/dev/vd";
    if (source == std::format("LABEL={}", protocol::root_label) ||
        source == std::format("{}{}", by_label, protocol::root_label) ||
        source == std::format("{}{}", by_serial, protocol::root_disk_serial))
        return !m.disk_image.empty();
    const size_t disks = m.empty_disks_mib.size() + (m.disk_image.empty() ? 0 : 1);
    return m.disk_interface == "virtio" && source.starts_with(virtio) && source.size() == virtio.size() + 1 &&
           static_cast<size_t>(source.back() - 'a') < disks;
}

// Whether these options may add a disk that is not in the description (qemu-system(1)).
bool may_bring_disk(const std::vector<std::string> &words) {
    constexpr std::array<std::string_view, 13> options{"drive", "blockdev", "hda",       "hdb",        "hdc", "hdd", "cdrom",
                                                       "sd",    "mtdblock", "usbdevice", "readconfig", "fda", "fdb"};
    constexpr std::array<std::string_view, 7> drivers{"blk", "scsi", "ide-", "nvme", "storage", "uas", "vfio"};
    for (size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (!word.starts_with('-')) continue;
        const std::string_view option = word.substr(word.starts_with("--") ? 2 : 1);
        if (std::ranges::contains(options, option)) return true;
        if (option == "device" && i + 1 < words.size() &&
            std::ranges::any_of(drivers, [&](std::string_view driver) { return words[i + 1].contains(driver); }))
            return true;
    }
    return false;
}

bool may_have_any(const Machine &m) {
    const std::string_view root = m.root_device;
    return !m.drives.empty() || may_bring_disk(m.qemu_options) ||
           !(root.empty() || root == "fstab" || root == "tmpfs" || root.starts_with("serial="));
}

std::string printable(std::string_view text) {
    std::string result(text);
    std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
    return result;
}

}  // namespace

std::vector<std::string> absent_file_systems(std::string_view fstab, const Machine &m) {
    std::vector<std::string> absent;
    if (may_have_any(m)) return absent;
    for (const std::string_view line : split(fstab, "\n")) {
        const auto fields = split(line, " \t\r");
        constexpr size_t least = 3;
        if (fields.size() < least || fields[0].starts_with('#') || fields[1] == "/") continue;
        // Nobody waits for these, or the initrd mounts them.
        constexpr std::array<std::string_view, 4> patient{"noauto", "nofail", "x-systemd.automount", "x-initrd.mount"};
        const auto options = split(fields.size() > least ? fields[3] : "", ",");
        if (std::ranges::any_of(options, [&](std::string_view option) { return std::ranges::contains(patient, option); }))
            continue;
        if (is_device(fields[0]) && !is_here(fields[0], m))
            absent.push_back(printable(std::format("{} ({})", fields[2] == "swap" ? "swap" : fields[1], fields[0])));
    }
    return absent;
}

}  // namespace hostside
