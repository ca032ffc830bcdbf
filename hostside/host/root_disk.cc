#include "hostside/host/root_disk.h"

#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/base/exists.h"
#include "hostside/host/qcow2.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

// Its stamp's first line.
std::string made_for(const std::string &image) {
    std::string text = base::read_file(stamp_of(image), 4096).value_or("");
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace

std::string stamp_of(const std::string &image) { return image + ".runvm"; }

base::Result<RootImageFacts> look_at_root_image(const Machine &m, bool fresh) {
    RootImageFacts facts;
    if (m.disk_image.empty()) return facts;
    facts.there = exists(m.disk_image);
    if (!facts.there) return facts;
    if (auto free = image_is_free(m.disk_image); !free) return std::unexpected(free.error());
    for (int n = 1; fresh && (facts.put_aside.empty() || exists(facts.put_aside)); ++n)
        facts.put_aside = std::format("{}.old-{}", m.disk_image, n);
    if (fresh) return facts;
    if (auto good = check_qcow2(m.disk_image, m.backing_files, "start over with --fresh"); !good)
        return std::unexpected(good.error());
    facts.empty = !m.ephemeral && is_empty_qcow2(m.disk_image);
    facts.size_bytes = qcow2_size_bytes(m.disk_image);
    facts.made_for = made_for(m.disk_image);
    return facts;
}

base::Result<RootImageFacts> saved_root_image(const Machine &m) {
    if (m.disk_image.empty()) return RootImageFacts{};
    if (auto good = check_qcow2(m.disk_image, {}, "make the snapshot anew"); !good) return std::unexpected(good.error());
    return RootImageFacts{.there = true};
}

}  // namespace hostside
