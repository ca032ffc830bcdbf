#include "hostside/boot/kernel_image.h"

#include <elf.h>

#include <cstring>

#include "mounts/kernel/decompress.h"

namespace hostside {

namespace {

constexpr size_t setup_sectors_at = 0x1f1, magic_at = 0x202, version_at = 0x20e, payload_at = 0x248;
constexpr uint32_t pvh_note_type = 18;  // XEN_ELFNOTE_PHYS32_ENTRY (Xen, public/elfnote.h)

uint32_t little_endian(std::string_view bytes, size_t at, size_t count) {
    uint32_t value = 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

bool is_bzimage(std::string_view image) { return image.size() > 4096 && image.substr(magic_at, 4) == "HdrS"; }

bool has_pvh_note(std::string_view elf) {
    Elf64_Ehdr header;
    if (elf.size() < sizeof header) return false;
    std::memcpy(&header, elf.data(), sizeof header);
    for (size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        const size_t offset = i * sizeof segment;
        if (header.e_phoff > elf.size() || elf.size() - header.e_phoff < offset + sizeof segment) return false;
        const size_t at = header.e_phoff + offset;
        std::memcpy(&segment, elf.data() + at, sizeof segment);
        if (segment.p_type != PT_NOTE || segment.p_offset > elf.size()) continue;
        std::string_view notes = elf.substr(segment.p_offset, segment.p_filesz);
        while (notes.size() >= 12) {
            const size_t name = little_endian(notes, 0, 4), data = little_endian(notes, 4, 4);
            if (little_endian(notes, 8, 4) == pvh_note_type && notes.substr(12, 3) == "Xen") return true;
            const size_t whole = 12 + (name + 3) / 4 * 4 + (data + 3) / 4 * 4;
            if (whole > notes.size()) break;
            notes.remove_prefix(whole);
        }
    }
    return false;
}

}  // namespace

std::string kernel_release(std::string_view image) {
    if (!is_bzimage(image)) return {};
    const size_t at = little_endian(image, version_at, 2) + 0x200;
    const std::string_view text = image.substr(std::min(at, image.size()), 128);
    return std::string(text.substr(0, text.find_first_of(std::string_view(" \0", 2))));
}

base::Result<std::string> kernel_payload(std::string_view image, const std::string &name) {
    if (!is_bzimage(image)) return base::fail(0, "extract kernel", name, "it is not a bzImage");
    const size_t sectors = image[setup_sectors_at] != 0 ? static_cast<unsigned char>(image[setup_sectors_at]) : 4;
    const size_t at = (sectors + 1) * 512 + little_endian(image, payload_at, 4), length = little_endian(image, payload_at + 4, 4);
    if (length < 4 || at + length > image.size()) return base::fail(0, "extract kernel", name, "its header points past its end");
    // The last four bytes are the size, which the kernel's build appends.
    return mounts::decompress(image.substr(at, length - 4), name);
}

base::Result<std::string> uncompressed_kernel(std::string_view image, const std::string &name) {
    auto elf = kernel_payload(image, name);
    if (!elf) return elf;
    if (!elf->starts_with(ELFMAG) || !has_pvh_note(*elf))
        return base::fail(0, "extract kernel", name, "it has no PVH entry, which QEMU needs for an uncompressed kernel");
    return elf;
}

base::Result<std::string> initrd_below(std::string image, const std::string &name, uint32_t limit_bytes) {
    constexpr size_t initrd_limit_at = 0x22c, flags_at = 0x236;
    constexpr unsigned char above_4g = 2;  // XLF_CAN_BE_LOADED_ABOVE_4G
    if (!is_bzimage(image))
        return base::fail(0, "boot with a TPM or large tables", name,
                          "SeaBIOS with a TPM or large tables boots only a bzImage; use one, or --use-efi-boot");
    image[flags_at] = static_cast<char>(static_cast<unsigned char>(image[flags_at]) & ~above_4g);
    for (size_t i = 0; i < 4; ++i) image[initrd_limit_at + i] = static_cast<char>((limit_bytes - 1) >> (8 * i) & 0xff);
    return image;
}

}  // namespace hostside
