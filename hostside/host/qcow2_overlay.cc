#include "hostside/host/qcow2_overlay.h"

namespace hostside {

namespace {

// All numbers are big-endian (QEMU, docs/interop/qcow2.rst). `bytes` is at most 8.
void append_number(std::string &to, uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

void pad(std::string &text, size_t unit) { text.resize((text.size() + unit - 1) / unit * unit, '\0'); }

constexpr uint64_t cluster_bits = 16, cluster_bytes = uint64_t{1} << cluster_bits, entry_bytes = 8;

}  // namespace

std::string qcow2_overlay(const std::string &backing, const std::string &backing_format, uint64_t size_bytes) {
    constexpr size_t longest_name = 1023, sector_bytes = 512;
    constexpr uint64_t each_table = cluster_bytes / entry_bytes * cluster_bytes;  // what one entry of the first level covers
    const uint64_t entries = (size_bytes + each_table - 1) / each_table;
    if (size_bytes == 0 || size_bytes % sector_bytes != 0 || backing.empty() || backing.size() > longest_name ||
        entries > cluster_bytes / entry_bytes)
        return {};
    // One cluster each: the header, the table of reference counts, a block of them, and the first-level table.
    enum : uint64_t { header, counts_table, counts_block, first_level, all };
    constexpr uint64_t header_bytes = 104, counts_order = 4, format_extension = 0xe2792aca;
    std::string extensions;
    append_number(extensions, format_extension, 4);
    append_number(extensions, backing_format.size(), 4);
    extensions += backing_format;
    pad(extensions, 8);
    append_number(extensions, 0, 8);  // the end of the extensions
    std::string image = "QFI\xfb";
    append_number(image, 3, 4);  // the version
    append_number(image, header_bytes + extensions.size(), 8);
    append_number(image, backing.size(), 4);
    append_number(image, cluster_bits, 4);
    append_number(image, size_bytes, 8);
    append_number(image, 0, 4);  // not encrypted
    append_number(image, entries, 4);
    append_number(image, first_level * cluster_bytes, 8);
    append_number(image, counts_table * cluster_bytes, 8);
    append_number(image, 1, 4);  // cluster of that table
    image.append(12, '\0');      // no snapshots
    image.append(24, '\0');      // no features
    append_number(image, counts_order, 4);
    append_number(image, header_bytes, 4);
    image += extensions + backing;
    pad(image, cluster_bytes);
    append_number(image, counts_block * cluster_bytes, 8);
    pad(image, cluster_bytes);
    for (uint64_t cluster = header; cluster < all; ++cluster) append_number(image, 1, 2);
    pad(image, cluster_bytes);
    image.resize(all * cluster_bytes, '\0');  // nothing is mapped
    return image;
}

}  // namespace hostside
