// A kernel image is untrusted: offsets in its headers are used only if they are inside it.
#include "hostside/boot/kernel_image.h"

#include <elf.h>

#include <catch_amalgamated.hpp>
#include <cstring>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

struct Kernel {
    Elf64_Ehdr header{};
    Elf64_Phdr segment{};
    std::string note;
};

// A kernel with one note segment that contains a PVH entry.
Kernel kernel() {
    Kernel made;
    std::memcpy(made.header.e_ident, ELFMAG, SELFMAG);
    made.header.e_phoff = sizeof made.header;
    made.header.e_phnum = 1;
    made.note.assign("\4\0\0\0\4\0\0\0\22\0\0\0Xen\0\0\0\0\1", 20);
    made.segment = {.p_type = PT_NOTE, .p_offset = sizeof made.header + sizeof made.segment, .p_filesz = made.note.size()};
    return made;
}

// As a bzImage: one setup sector followed by the compressed ELF. Returns the error; empty if the kernel was extracted
// unchanged.
std::string refusal(const Kernel &kernel) {
    const support::ScratchDirectory scratch;
    std::string elf(reinterpret_cast<const char *>(&kernel.header), sizeof kernel.header);
    elf.append(reinterpret_cast<const char *>(&kernel.segment), sizeof kernel.segment) += kernel.note;
    REQUIRE(base::replace_file(scratch.path("elf"), elf));
    REQUIRE(base::run({.argv = {"gzip", "-n", scratch.path("elf")}}));
    std::string payload = base::read_file(scratch.path("elf.gz")).value();
    payload.append("size");
    std::string image(1024, '\0');
    image[0x1f1] = 1;
    image.replace(0x202, 4, "HdrS");
    image[0x24c] = static_cast<char>(payload.size() % 256);
    image[0x24d] = static_cast<char>(payload.size() / 256);
    image += payload;
    image.resize(8192);
    const auto extracted = hostside::uncompressed_kernel(image, "vmlinuz");
    if (extracted) CHECK(*extracted == elf);
    return extracted ? "" : message(extracted.error());
}

constexpr const char *no_entry = "extract kernel 'vmlinuz': it has no PVH entry, which QEMU needs for an uncompressed kernel";

}  // namespace

TEST_CASE("a kernel with a PVH entry is extracted") { CHECK(refusal(kernel()).empty()); }

TEST_CASE("program headers and notes that lead past the end of a kernel, or around its beginning, are read by nobody") {
    const uint64_t size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + 20;
    for (const uint64_t place : {UINT64_MAX, UINT64_MAX - sizeof(Elf64_Phdr) + 1, UINT64_MAX - 8, size, size - 1, size + 1}) {
        CAPTURE(place);
        Kernel headers = kernel();
        headers.header.e_phoff = place;
        headers.header.e_phnum = UINT16_MAX;
        CHECK(refusal(headers) == no_entry);
        Kernel notes = kernel();
        notes.segment.p_offset = place;
        notes.segment.p_filesz = UINT64_MAX;
        CHECK(refusal(notes) == no_entry);
    }
    // The third of these is valid only if the sum may overflow.
    Kernel around = kernel();
    around.header.e_phoff = around.header.e_phoff - 2 * sizeof around.segment;
    around.header.e_phnum = 3;
    CHECK(refusal(around) == no_entry);
    Kernel note = kernel();
    note.note.replace(0, 8, "\377\377\377\377\377\377\377\377");
    note.note[8] = 1;
    CHECK(refusal(note) == no_entry);
}
