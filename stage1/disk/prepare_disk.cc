#include "stage1/disk/prepare_disk.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <array>
#include <cerrno>
#include <format>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "mounts/devices/device.h"
#include "mounts/devices/find_device.h"
#include "mounts/devices/mount_file_system.h"
#include "stage1/disk/backup_signatures.h"
#include "stage1/disk/ext4_image.h"
#include "stage1/disk/intent.h"
#include "stage1/disk/open_disk.h"
#include "stage1/disk/verdict.h"
#include "stage1/disk/write_image.h"
#include "stage1/disk/zero_scan.h"

namespace stage1 {

namespace {

constexpr size_t ext4_label_bytes = 16;

// For /dev/vda: vda1; for /dev/nvme0n1: nvme0n1p1.
std::string partitions_of(const std::string &path) {
    const std::string disk = path.substr(path.rfind('/') + 1);
    auto devices = mounts::list_devices();
    std::erase_if(devices, [&](const mounts::BlockDevice &device) {
        const std::string_view name = device.name;
        return !name.starts_with(disk) || name.substr(disk.size()).find_first_of("p0123456789") != 0;
    });
    return devices.empty() ? "" : mounts::describe(devices);
}

base::Result<DiskFacts> gather(int disk, const std::string &path) {
    DiskFacts facts;
    auto identity = mounts::identify(disk, path);
    if (!identity) return std::unexpected(identity.error());
    facts.identity = *identity;
    int read_only = 0;
    if (::ioctl(disk, BLKROGET, &read_only) < 0) return base::fail(errno, "ask whether read-only", path);
    facts.read_only = read_only != 0;
    if (facts.identity.size_bytes == 0) return facts;  // nothing to probe
    auto signature = mounts::probe(disk, path);
    if (!signature) return std::unexpected(signature.error());
    facts.signature = std::move(*signature);
    if (!facts.signature.partition_table.empty()) facts.partitions = partitions_of(path);
    IntentSector sector{};
    // An unreadable sector holds no intent. The probe or the examination meets the same error and refuses.
    if (::pread(disk, sector.data(), sector.size(), 0) == static_cast<ssize_t>(sector.size()))
        facts.intent = decode_intent(sector);
    return facts;
}

// Gathers the expensive facts by reading the disk. Creates `image`, the data of a format, at the same time. After an
// interrupted format, it compares the disk with that image.
base::Result<> look_closer(DiskFacts &facts, int disk, const DiskRequest &request, const Ext4Recipe &recipe,
                           std::optional<Ext4Image> &image) {
    if (facts.intent || !request.dry_run) {
        auto begun = Ext4Image::begin(recipe);
        if (!begun) return std::unexpected(begun.error());
        image.emplace(std::move(*begun));
    }
    const auto expected = facts.intent ? image->wait() : -1;
    if (!expected) return std::unexpected(expected.error());
    const uint64_t size = facts.identity.size_bytes;
    // An image to which nothing was written holds no format that was cut short: with an intent nobody can vouch.
    auto emptiness = examine(disk, ranges_to_read(size, request.vouched && !facts.intent), *expected, request.progress);
    if (!emptiness) return std::unexpected(emptiness.error());
    facts.emptiness = *emptiness;
    if (emptiness->outcome == Emptiness::Outcome::foreign) facts.remains = name_remains(disk, size);
    return {};
}

base::Result<> format(int disk, const DiskFacts &facts, const Ext4Recipe &recipe, Ext4Image &image, const std::string &path) {
    const auto made = image.wait();
    if (!made) return std::unexpected(made.error());
    const auto writable = open_for_writing(disk, facts.identity, path);
    if (!writable) return std::unexpected(writable.error());
    return write_image(writable->get(), *made, recipe, path);
}

base::Result<> finish_intent(int disk, const DiskFacts &facts, const std::string &path) {
    const auto writable = open_for_writing(disk, facts.identity, path);
    if (!writable) return std::unexpected(writable.error());
    return clear_intent(writable->get(), path);
}

DiskOutcome kept(const DiskFacts &facts, bool dry_run) {
    const mounts::Signature &found = facts.signature;
    return {DiskOutcome::What::kept, found.type, found.uuid, found.label,
            (dry_run ? "would keep " : "kept ") + mounts::describe(found)};
}

// For a run after the mount: a mounted device certainly holds a file system.
DiskOutcome kept_mounted(const mounts::MountedAt &at) {
    return {DiskOutcome::What::kept, at.type, "", "", std::format("kept {}, mounted on '{}'", at.type, at.target)};
}

DiskOutcome formatted(const Ext4Recipe &recipe, bool finished, bool dry_run) {
    const std::string name = std::format("ext4 UUID={} LABEL={}", recipe.uuid, recipe.label);
    const std::string size = mounts::size_text(recipe.size_bytes);
    std::string text;
    if (dry_run)
        text =
            finished ? "would finish the format of " + name : std::format("would format {} as ext4 LABEL={}", size, recipe.label);
    else
        text = std::format("formatted {}, {}{}", name, size, finished ? ", finishing a format that was cut short" : "");
    return {finished ? DiskOutcome::What::finished : DiskOutcome::What::formatted, "ext4", recipe.uuid, recipe.label,
            std::move(text)};
}

// Rejects UUIDs that an ext4 cannot have, such as the nine characters of a vfat's.
base::Result<std::string> lower_case_uuid(const std::string &text, const std::string &path) {
    if (text.empty()) return text;
    std::array<unsigned char, 16> raw{};
    if (::uuid_parse(text.c_str(), raw.data()) < 0)
        return base::fail(0, "use disk", path, std::format("no ext4 can have the UUID '{}'", text));
    std::array<char, 37> lower{};
    ::uuid_unparse_lower(raw.data(), lower.data());
    return std::string(lower.data());
}

}  // namespace

base::Result<DiskOutcome> prepare_disk(const DiskRequest &request) {
    const std::string &path = request.device;
    if (request.label.size() > ext4_label_bytes)
        return base::fail(0, "use disk", path,
                          std::format("the label '{}' is longer than {} bytes", request.label, ext4_label_bytes));
    const auto uuid = lower_case_uuid(request.uuid, path);
    if (!uuid) return std::unexpected(uuid.error());
    const auto disk = open_disk(path);
    if (!disk && disk.error().code == EBUSY)
        if (const auto at = mounts::mounted_at(path); !at.target.empty()) return kept_mounted(at);
    if (!disk) return std::unexpected(disk.error());
    auto facts = gather(disk->get(), path);
    if (!facts) return std::unexpected(facts.error());

    Verdict verdict = decide(*facts);
    Ext4Recipe recipe;
    std::optional<Ext4Image> image;
    if (verdict.action == Action::examine) {
        recipe = facts->intent ? *facts->intent
                               : new_ext4_recipe(facts->identity.size_bytes, facts->identity.sector_bytes, request.label);
        if (!facts->intent && !request.uuid.empty()) recipe.uuid = *uuid;
        if (auto looked = look_closer(*facts, disk->get(), request, recipe, image); !looked)
            return std::unexpected(looked.error());
        verdict = decide(*facts);
    }
    switch (verdict.action) {
    case Action::keep: return kept(*facts, request.dry_run);
    case Action::clear_intent:
        if (!request.dry_run)
            if (auto done = finish_intent(disk->get(), *facts, path); !done) return std::unexpected(done.error());
        return kept(*facts, request.dry_run);
    case Action::format:
    case Action::finish:
        if (!request.dry_run)
            if (auto done = format(disk->get(), *facts, recipe, *image, path); !done) return std::unexpected(done.error());
        return formatted(recipe, verdict.action == Action::finish, request.dry_run);
    case Action::examine:
    case Action::refuse: break;
    }
    return base::fail(0, "use disk", path, verdict.reason + "; nothing was changed");
}

}  // namespace stage1
