#include "hostside/host/root_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/base/exists.h"
#include "hostside/host/qcow2.h"
#include "hostside/host/raw_image.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"

namespace hostside {

namespace {

using base::fail;

// The first line of the image's stamp.
std::string made_for(const std::string &image) {
    std::string text = stamp_text(image);
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

// In /dev, a name is a device's; no image is made there.
bool is_in_dev(std::string_view path) { return path.starts_with("/dev/") && !path.starts_with("/dev/shm/"); }

// Does not guess other formats, because a guest may have forged the content.
base::Result<uint64_t> qcow2_size(const Machine &m, bool device) {
    const std::string_view start_over = device ? "name another" : "start over with --fresh";
    if (auto kind = check_kind(m.disk_image); !kind) return std::unexpected(kind.error());
    if (const auto fd = base::open_at(AT_FDCWD, m.disk_image, O_RDONLY); fd && !begins_as_qcow2(fd->get()))
        return fail(0, "use image", m.disk_image,
                    std::format("it is not a qcow2 image; if it is raw, pass --disk-image-format raw; convert any other format "
                                "(qemu-img convert -O qcow2), or {}",
                                start_over));
    if (auto good = check_qcow2(m.disk_image, m.backing_files, start_over); !good) return std::unexpected(good.error());
    return qcow2_size_bytes(m.disk_image);
}

}  // namespace

std::string stamp_of(const std::string &image) { return image + ".runvm"; }

std::string stamp_text(const std::string &image) {
    constexpr size_t limit_bytes = 4096;
    const std::string path = stamp_of(image);
    return base::open_regular(AT_FDCWD, path, O_RDONLY)
        .and_then([&](const base::Fd &fd) { return base::read_all(fd.get(), path, limit_bytes); })
        .value_or("");
}

base::Result<RootImageFacts> look_at_root_image(const Machine &m, bool fresh) {
    RootImageFacts facts;
    if (m.disk_image.empty()) return facts;
    facts.there = exists(m.disk_image);
    if (!facts.there && is_in_dev(m.disk_image)) return fail(ENOENT, "use image", m.disk_image, "there is no such device");
    if (!facts.there) return facts;
    if (auto free = image_is_free(m.disk_image); !free) return std::unexpected(free.error());
    facts.device = is_block_device(m.disk_image);
    if (fresh && facts.device)
        return fail(0, "put aside", m.disk_image,
                    "a block device can't be put aside; to discard its data, empty it (blkdiscard -z) and start without --fresh");
    for (int n = 1; fresh && (facts.put_aside.empty() || exists(facts.put_aside)); ++n)
        facts.put_aside = std::format("{}.old-{}", m.disk_image, n);
    if (fresh) return facts;
    auto size = m.disk_image_format == "raw" ? check_raw(m.disk_image, !m.ephemeral) : qcow2_size(m, facts.device);
    if (!size) return std::unexpected(size.error());
    facts.size_bytes = *size;
    facts.empty = !m.ephemeral && (m.disk_image_format == "raw" ? is_empty_raw(m.disk_image) : is_empty_qcow2(m.disk_image));
    facts.made_for = made_for(m.disk_image);
    return facts;
}

base::Result<RootImageFacts> saved_root_image(const Machine &m) {
    if (m.disk_image.empty()) return RootImageFacts{};
    if (auto good = check_qcow2(m.disk_image, {}, "make a new snapshot"); !good) return std::unexpected(good.error());
    return RootImageFacts{.there = true};
}

}  // namespace hostside
