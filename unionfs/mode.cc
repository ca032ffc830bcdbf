#include "unionfs/mode.h"

#include <sys/statfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace unionfs {

namespace {

// linux/magic.h, and fs/smb/client.
const char *server_of(const struct statfs &status) {
    static constexpr std::array<std::pair<uint32_t, const char *>, 5> known{
        {{0x01021997, "9p"}, {0x6969, "nfs"}, {0xFF534D42, "cifs"}, {0xFE534D42, "smb3"}, {0x65735546, "fuse or virtiofs"}}};
    const auto *const found = std::ranges::find(known, static_cast<uint32_t>(status.f_type), &decltype(known)::value_type::first);
    return found == known.end() ? "" : found->second;
}

bool kernel_has_passthrough() {
    utsname name{};
    int major = 0, minor = 0;
    if (::uname(&name) < 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
    return major > 6 || (major == 6 && minor >= 9);
}

// Warm, by make bench-union: an open by message costs 31 µs more than one without, and what it saves is 70 µs a MiB read.
constexpr uint64_t worth_a_message = uint64_t{512} << 10;

}  // namespace

LayerFacts look(const Union &fs, bool rootless) {
    LayerFacts facts{.rootless = rootless,
                     .has_passthrough = kernel_has_passthrough(),
                     .takes_changes = fs.takes_changes(),
                     .stale_readers = fs.options.stale_readers};
    uint64_t bytes = 0, files = 0;
    for (const FdRef &lower : fs.lowers) {
        struct statfs status{};
        if (::fstatfs(lower->get(), &status) < 0) continue;
        if (facts.server.empty()) facts.server = server_of(status);
        bytes += (status.f_blocks - status.f_bfree) * static_cast<uint64_t>(status.f_bsize);
        files += status.f_files - status.f_ffree;
    }
    if (files != 0) facts.bytes_a_file = bytes / files;
    return facts;
}

Choice choose_mode(const LayerFacts &facts) {
    if (facts.rootless) return {Mode::store, "without root there is no passthrough: big reads and writes go through the daemon"};
    if (!facts.has_passthrough)
        return {Mode::store, "before Linux 6.9 there is no passthrough, so throughput would save nothing"};
    if (facts.stale_readers)
        return {Mode::throughput, "stale_readers: first reads of big files cost 1.0 of overlayfs's time, with store 2 to 27"};
    if (facts.takes_changes)
        return {Mode::store,
                "lower files may be copied up, so the kernel can't keep reading them by itself; warm opens and reads cost 0.8 "
                "and 1.0 of overlayfs's time, with throughput 8 and 6, but writes of 4 KiB 9, with throughput 0.9"};
    if (!facts.server.empty())
        return {Mode::store, "the lowers are on " + facts.server +
                                 ": with throughput each open would ask their server, with store none that is warm does"};
    const std::string size = "files of the lowers have " + std::to_string(facts.bytes_a_file >> 10) + " KiB on average: ";
    if (facts.bytes_a_file >= worth_a_message)
        return {Mode::throughput, size + "first reads of big files cost 1.0 of overlayfs's time, with store 2 to 27"};
    return {Mode::store, (facts.bytes_a_file == 0 ? "" : size) +
                             "warm opens and reads of small files cost 0.8 and 1.0 of overlayfs's time, with throughput 8 and 6"};
}

}  // namespace unionfs
