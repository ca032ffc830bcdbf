#include "stage1/disk/intent.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "mounts/base/fnv.h"

namespace stage1 {

namespace {

// Little-endian on disk and in memory: stage1 runs only on such machines.
struct Layout {
    std::array<char, 16> magic;
    uint32_t version;
    uint32_t sector_bytes;
    uint64_t size_bytes;
    int64_t time;
    std::array<char, 16> label;
    std::array<char, 36> uuid;
    std::array<char, 36> hash_seed;
    uint64_t checksum;  // of everything before it
};
static_assert(std::is_trivially_copyable_v<Layout> && sizeof(Layout) == 136 && offsetof(Layout, checksum) == 128);

constexpr std::array<char, 16> magic{'s', 't', 'a', 'g', 'e', '1', ' ', 'f', 'o', 'r', 'm', 'a', 't', 't', 'i', 'n'};
// Increase this whenever the same recipe would make different bytes (another mke2fs, other options).
constexpr uint32_t version = 1;

// Detects a torn or foreign sector. This is no proof, and nothing relies on it: before a format is finished, the disk is
// compared byte by byte.
uint64_t checksum(std::span<const std::byte> bytes) { return base::fnv1a(bytes); }

template <size_t N>
void put(std::array<char, N> &field, const std::string &text) {
    std::copy_n(text.begin(), std::min(N, text.size()), field.begin());
}

template <size_t N>
std::string get(const std::array<char, N> &field) {
    return {field.data(), ::strnlen(field.data(), N)};
}

bool is_uuid(const std::string &text) {
    if (text.size() != 36) return false;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (dash ? text[i] != '-' : !digit) return false;
    }
    return true;
}

}  // namespace

IntentSector encode_intent(const Ext4Recipe &recipe) {
    Layout layout{};
    layout.magic = magic;
    layout.version = version;
    layout.sector_bytes = recipe.sector_bytes;
    layout.size_bytes = recipe.size_bytes;
    layout.time = recipe.time;
    put(layout.label, recipe.label);
    put(layout.uuid, recipe.uuid);
    put(layout.hash_seed, recipe.hash_seed);
    layout.checksum = checksum(std::as_bytes(std::span(&layout, 1)).first(offsetof(Layout, checksum)));
    IntentSector sector{};
    std::memcpy(sector.data(), &layout, sizeof layout);
    return sector;
}

std::optional<Ext4Recipe> decode_intent(std::span<const std::byte, intent_bytes> sector) {
    Layout layout{};
    std::memcpy(&layout, sector.data(), sizeof layout);
    const bool nothing_behind = std::ranges::all_of(sector.subspan(sizeof layout), [](std::byte b) { return b == std::byte{0}; });
    if (layout.magic != magic || layout.version != version || !nothing_behind ||
        layout.checksum != checksum(sector.first(offsetof(Layout, checksum))))
        return {};
    Ext4Recipe recipe{.size_bytes = layout.size_bytes,
                      .sector_bytes = layout.sector_bytes,
                      .label = get(layout.label),
                      .uuid = get(layout.uuid),
                      .hash_seed = get(layout.hash_seed),
                      .time = layout.time};
    if (!is_uuid(recipe.uuid) || !is_uuid(recipe.hash_seed)) return {};
    return recipe;
}

}  // namespace stage1
