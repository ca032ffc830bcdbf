#include "mounts/devices/find_device.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <format>
#include <optional>
#include <utility>

#include "mounts/base/at.h"

namespace mounts {

namespace {

constexpr std::string_view block_class = "/sys/class/block/";

std::string trimmed(std::string text) {
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\0'; };
    while (!text.empty() && blank(text.back())) text.pop_back();
    text.erase(text.begin(), std::ranges::find_if_not(text, blank));
    return text;
}

std::string attribute(const std::string &name, const char *file) {
    auto text = base::read_file(std::format("{}{}/{}", block_class, name, file), 65536);
    return text ? trimmed(std::move(*text)) : std::string();
}

// virtio-blk has `serial`, NVMe has `device/serial`. SCSI and ATA have a page: a four-byte header and the serial (SPC-5,
// 7.7.20).
std::string serial_of(const std::string &name) {
    for (const char *file : {"serial", "device/serial"})
        if (auto text = attribute(name, file); !text.empty()) return text;
    auto page = base::read_file(std::format("{}{}/device/vpd_pg80", block_class, name), 65536);
    return page && page->size() > 4 ? trimmed(page->substr(4)) : std::string();
}

uint64_t size_of(const std::string &name) {
    const std::string text = attribute(name, "size");
    uint64_t sectors = 0;
    std::from_chars(text.data(), text.data() + text.size(), sectors);
    return sectors * 512;  // sysfs always counts sectors of 512 bytes
}

// sysfs writes `!` for a slash in a name (cciss!c0d0).
std::string node_of(std::string name) {
    std::ranges::replace(name, '!', '/');
    return "/dev/" + name;
}

bool before(const std::string &a, const std::string &b) { return ::strverscmp(a.c_str(), b.c_str()) < 0; }

std::vector<std::string> entries() {
    std::vector<std::string> found;
    std::error_code ignored;  // no /sys: no devices; the caller reports that there are none
    for (const auto &entry : std::filesystem::directory_iterator(block_class, ignored)) found.push_back(entry.path().filename());
    std::ranges::sort(found, before);
    return found;
}

// The devices that can be probed.
std::vector<std::string> names() {
    std::vector<std::string> found = entries();
    // Skip floppy drives (major 2): without a medium they take seconds to answer.
    std::erase_if(found, [](const std::string &name) { return attribute(name, "dev").starts_with("2:") || size_of(name) == 0; });
    return found;
}

base::Result<base::Fd> open_device(const std::string &name) {
    return base::open_at(AT_FDCWD, node_of(name), O_RDONLY | O_NONBLOCK);
}

struct Match {
    std::string name, type;
};

// Whether one device is what `spec` asks for. A device that cannot be opened or read never matches.
std::optional<Match> match(const DeviceSpec &spec, const std::string &name) {
    if (spec.kind == DeviceSpec::Kind::serial) {
        if (serial_of(name) != spec.value || !attribute(name, "partition").empty() || size_of(name) == 0) return {};
        return Match{name, {}};
    }
    const bool of_partition = spec.kind == DeviceSpec::Kind::part_uuid || spec.kind == DeviceSpec::Kind::part_label;
    if (of_partition && attribute(name, "partition").empty()) return {};
    auto fd = open_device(name);
    if (!fd) return {};
    if (of_partition) {
        const PartitionEntry entry = partition_entry(fd->get());
        const bool same = spec.kind == DeviceSpec::Kind::part_uuid ? ::strcasecmp(entry.uuid.c_str(), spec.value.c_str()) == 0
                                                                   : entry.label == spec.value;
        return same ? std::optional(Match{name, {}}) : std::nullopt;
    }
    const auto signature = probe(fd->get(), name);
    if (!signature || (signature->usage != "filesystem" && signature->type != "swap")) return {};
    const bool same = spec.kind == DeviceSpec::Kind::uuid ? ::strcasecmp(signature->uuid.c_str(), spec.value.c_str()) == 0
                                                          : signature->label == spec.value;
    return same ? std::optional(Match{name, signature->type}) : std::nullopt;
}

constexpr std::array prefixes{
    std::pair{std::string_view("LABEL="), DeviceSpec::Kind::label},
    std::pair{std::string_view("UUID="), DeviceSpec::Kind::uuid},
    std::pair{std::string_view("PARTLABEL="), DeviceSpec::Kind::part_label},
    std::pair{std::string_view("PARTUUID="), DeviceSpec::Kind::part_uuid},
    std::pair{std::string_view("serial="), DeviceSpec::Kind::serial},
    std::pair{std::string_view("/dev/disk/by-label/"), DeviceSpec::Kind::label},
    std::pair{std::string_view("/dev/disk/by-uuid/"), DeviceSpec::Kind::uuid},
    std::pair{std::string_view("/dev/disk/by-partlabel/"), DeviceSpec::Kind::part_label},
    std::pair{std::string_view("/dev/disk/by-partuuid/"), DeviceSpec::Kind::part_uuid},
    // udev's name for virtio-blk disks (60-persistent-storage.rules).
    std::pair{std::string_view("/dev/disk/by-id/virtio-"), DeviceSpec::Kind::serial},
};

std::string text_of(const DeviceSpec &spec) {
    for (const auto &[prefix, kind] : prefixes)
        if (kind == spec.kind && prefix.ends_with('=')) return std::string(prefix) + spec.value;
    return spec.value;
}

// udev writes \xHH for bytes that it does not allow in file names.
std::string unescaped(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned byte = 0;
        if (text.substr(i, 2) == "\\x" && i + 4 <= text.size()) {
            const char *digits = text.data() + i + 2;
            if (const auto parsed = std::from_chars(digits, digits + 2, byte, 16); parsed.ptr == digits + 2) {
                result += static_cast<char>(byte);
                i += 3;
                continue;
            }
        }
        result += text[i];
    }
    return result;
}

// Tags ignore case; paths do not.
bool has_prefix(std::string_view text, std::string_view prefix) {
    if (!prefix.ends_with('=')) return text.starts_with(prefix);
    return text.size() >= prefix.size() && ::strncasecmp(text.data(), prefix.data(), prefix.size()) == 0;
}

// fstab(5) and people write LABEL="nixos".
std::string_view without_quotes(std::string_view value) {
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    return quoted ? value.substr(1, value.size() - 2) : value;
}

// Removes the kernel's PARTNROFF= from a PARTUUID (block/early-lookup.c).
base::Result<> take_partition_offset(DeviceSpec &spec) {
    const size_t slash = spec.value.find('/');
    if (slash == std::string::npos) return {};
    constexpr std::string_view name = "PARTNROFF=";
    const std::string_view rest = std::string_view(spec.value).substr(slash + 1);
    const char *end = rest.data() + rest.size();
    if (!has_prefix(rest, name) || rest.size() == name.size() ||
        std::from_chars(rest.data() + name.size(), end, spec.partition_offset).ptr != end)
        return base::fail(EINVAL, "read device name", "PARTUUID=" + spec.value, "after the slash only PARTNROFF= and a number");
    spec.value.resize(slash);
    return {};
}

// The partition whose number is `offset` higher, on the same disk. Empty: there is none.
std::string further_partition(const std::string &name, int offset) {
    const auto number = [](const std::string &of) {
        const std::string text = attribute(of, "partition");
        int value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return int64_t{value};
    };
    const auto disk = [](const std::string &of) {
        std::error_code gone;
        return std::filesystem::canonical(std::string(block_class) + of, gone).parent_path();
    };
    for (const std::string &other : entries())
        if (number(other) != 0 && number(other) == number(name) + offset && disk(other) == disk(name)) return other;
    return {};
}

}  // namespace

base::Result<DeviceSpec> parse_device_spec(std::string_view text) {
    for (const auto &[prefix, kind] : prefixes) {
        if (!has_prefix(text, prefix)) continue;
        const bool tag = prefix.ends_with('=');
        const std::string_view value = tag ? without_quotes(text.substr(prefix.size())) : text.substr(prefix.size());
        if (value.empty()) return base::fail(EINVAL, "read device name", text, "the name in it is empty");
        DeviceSpec spec{kind, tag ? std::string(value) : unescaped(value)};
        if (kind == DeviceSpec::Kind::part_uuid)
            if (auto taken = take_partition_offset(spec); !taken) return std::unexpected(taken.error());
        return spec;
    }
    if (text.starts_with("/dev/")) return DeviceSpec{DeviceSpec::Kind::path, std::string(text)};
    return base::fail(EINVAL, "read device name", text,
                      "give a path below /dev, LABEL=, UUID=, PARTLABEL=, PARTUUID= or serial=");
}

base::Result<std::string> find_device(const DeviceSpec &spec) {
    std::vector<Match> matches;
    if (spec.kind == DeviceSpec::Kind::path) {
        struct stat status{};
        if (::stat(spec.value.c_str(), &status) == 0) {
            if (!S_ISBLK(status.st_mode)) return base::fail(ENOTBLK, "find device", spec.value);
            return spec.value;
        }
    } else {
        for (const std::string &name : spec.kind == DeviceSpec::Kind::serial ? entries() : names())
            if (auto found = match(spec, name)) matches.push_back(std::move(*found));
    }
    if (spec.partition_offset != 0)
        for (Match &match : matches) match.name = further_partition(match.name, spec.partition_offset);
    std::erase_if(matches, [](const Match &match) { return match.name.empty(); });
    if (matches.empty()) return base::fail(ENODEV, "find device", text_of(spec), "block devices: " + describe(list_devices()));
    const bool one_btrfs =
        spec.kind == DeviceSpec::Kind::uuid && std::ranges::all_of(matches, [](const Match &m) { return m.type == "btrfs"; });
    if (matches.size() > 1 && !one_btrfs)
        return base::fail(EEXIST, "find device", text_of(spec),
                          std::format("{} and {} both match; name one by its path or serial", node_of(matches[0].name),
                                      node_of(matches[1].name)));
    return node_of(matches[0].name);
}

base::Result<std::string> find_device(std::string_view text) {
    return parse_device_spec(text).and_then([](const DeviceSpec &spec) { return find_device(spec); });
}

std::vector<BlockDevice> list_devices() {
    std::vector<BlockDevice> devices;
    for (const std::string &name : names()) {
        BlockDevice device{
            .name = name, .size_bytes = size_of(name), .serial = serial_of(name), .signature = {}, .unreadable = {}};
        if (auto fd = open_device(name); !fd) {
            device.unreadable = base::errno_text(fd.error().code);
        } else if (auto signature = probe(fd->get(), name)) {
            device.signature = std::move(*signature);
        } else {
            device.unreadable = base::errno_text(signature.error().code);
        }
        devices.push_back(std::move(device));
    }
    return devices;
}

std::string describe(const std::vector<BlockDevice> &devices) {
    std::string text;
    for (const BlockDevice &device : devices) {
        if (!text.empty()) text += ", ";
        text += std::format("{} ({}, ", device.name, size_text(device.size_bytes));
        if (!device.serial.empty()) text += std::format("serial {}, ", device.serial);
        text += (device.unreadable.empty() ? describe(device.signature) : device.unreadable) + ")";
    }
    return text.empty() ? "none" : text;
}

}  // namespace mounts
