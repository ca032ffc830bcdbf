#include "hostside/boot/module_image.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace hostside {

namespace {

// A module is an ET_REL file: sections, with an array of headers at e_shoff. Everything is copied, because the data may be
// misaligned or out of bounds.
class Elf {
  public:
    // Without sections, the file is not a module.
    explicit Elf(std::string &bytes) : bytes_(bytes) {
        std::vector<Elf64_Shdr> found;
        if (!get(0, header_) || std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0 || header_.e_ident[EI_CLASS] != ELFCLASS64 ||
            header_.e_machine != EM_X86_64 || header_.e_type != ET_REL || header_.e_shentsize != sizeof(Elf64_Shdr))
            return;
        for (size_t i = 0; i < header_.e_shnum; ++i) {
            Elf64_Shdr section;
            if (!get(header_.e_shoff + i * sizeof section, section)) return;
            found.push_back(section);
        }
        sections_ = std::move(found);
    }

    [[nodiscard]] std::span<const Elf64_Shdr> sections() const { return sections_; }

    [[nodiscard]] std::string_view name(const Elf64_Shdr &section) const {
        return header_.e_shstrndx < sections_.size() ? text(sections_[header_.e_shstrndx], section.sh_name) : "";
    }

    // The string at `offset` in a string table.
    [[nodiscard]] std::string_view text(const Elf64_Shdr &table, uint64_t offset) const {
        if (offset >= table.sh_size || table.sh_offset > bytes_.size() || table.sh_size > bytes_.size() - table.sh_offset)
            return {};
        const std::string_view rest = std::string_view(bytes_).substr(table.sh_offset + offset, table.sh_size - offset);
        return rest.substr(0, rest.find('\0'));
    }

    // The file with only the `kept` sections. Headers of the others become SHT_NULL, because symbols and relocations refer to
    // sections by index. Nothing if a section is out of bounds or the file would not get shorter.
    [[nodiscard]] std::optional<std::string> with_only(auto &&kept) const {
        std::string result(sizeof header_, '\0');
        std::vector<Elf64_Shdr> headers = sections_;
        const auto pad = [&](uint64_t alignment) { result.resize((result.size() + alignment - 1) & ~(alignment - 1)); };
        for (Elf64_Shdr &section : headers) {
            if (!kept(section)) section = {};
            if (section.sh_type == SHT_NULL || section.sh_type == SHT_NOBITS) continue;
            const uint64_t alignment = std::max<uint64_t>(section.sh_addralign, 1);
            if (!std::has_single_bit(alignment) || alignment > 4096 || section.sh_offset > bytes_.size() ||
                section.sh_size > bytes_.size() - section.sh_offset)
                return {};
            pad(alignment);
            const uint64_t offset = std::exchange(section.sh_offset, result.size());
            result.append(bytes_, offset, section.sh_size);
            if (result.size() > bytes_.size()) return {};
        }
        pad(alignof(Elf64_Shdr));
        Elf64_Ehdr header = header_;
        header.e_shoff = result.size();
        std::memcpy(result.data(), &header, sizeof header);
        for (const Elf64_Shdr &section : headers) result.append(reinterpret_cast<const char *>(&section), sizeof section);
        if (result.size() >= bytes_.size()) return {};
        return result;
    }

    template <class T>
    [[nodiscard]] bool get(uint64_t offset, T &value) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return true;
    }

    template <class T>
    void put(uint64_t offset, const T &value) {
        std::memcpy(bytes_.data() + offset, &value, sizeof value);
    }

  private:
    std::string &bytes_;
    Elf64_Ehdr header_{};
    std::vector<Elf64_Shdr> sections_;
};

struct Call {
    uint64_t relocation;  // file offset of its Elf64_Rela
    uint64_t site;        // file offset of the call's five bytes
};

constexpr std::array<unsigned char, 5> call_to_be_relocated{0xe8, 0, 0, 0, 0};
constexpr std::array<unsigned char, 5> no_op{0x0f, 0x1f, 0x44, 0x00, 0x00};  // Linux, arch/x86/include/asm/nops.h

// Finds every use of the symbol __fentry__. False: one use is not a call, so all must stay.
bool find_calls(const Elf &elf, std::vector<Call> &calls) {
    const auto sections = elf.sections();
    for (const Elf64_Shdr &rela : sections) {
        if (rela.sh_type != SHT_RELA || rela.sh_link >= sections.size() || rela.sh_info >= sections.size()) continue;
        const Elf64_Shdr &symbols = sections[rela.sh_link];
        const Elf64_Shdr &target = sections[rela.sh_info];
        if (symbols.sh_link >= sections.size()) return false;
        for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= rela.sh_size; at += sizeof(Elf64_Rela)) {
            Elf64_Rela entry;
            Elf64_Sym symbol;
            if (!elf.get(rela.sh_offset + at, entry)) return false;
            if (!elf.get(symbols.sh_offset + ELF64_R_SYM(entry.r_info) * sizeof symbol, symbol)) return false;
            if (symbol.st_shndx != SHN_UNDEF || elf.text(sections[symbols.sh_link], symbol.st_name) != "__fentry__") continue;
            std::array<unsigned char, 5> code;
            const uint64_t site = target.sh_offset + entry.r_offset - 1;
            if (entry.r_offset == 0 || !elf.get(site, code) || code != call_to_be_relocated) return false;
            calls.push_back({rela.sh_offset + at, site});
        }
    }
    return true;
}

// Sections that cost the kernel time because it finds them by name (Linux, kernel/module/main.c and arch/x86/kernel/module.c),
// or that the kernel never reads, and their relocations.
bool only_for_tracing(const Elf &elf, const Elf64_Shdr &section) {
    static constexpr std::array<std::string_view, 10> names{"__mcount_loc",   "_ftrace_eval_map", "__patchable_function_entries",
                                                            ".orc_unwind",    ".orc_unwind_ip",   ".orc_header",
                                                            ".BTF",           ".BTF.base",        ".comment",
                                                            ".note.GNU-stack"};
    const auto sections = elf.sections();
    const bool relocates = section.sh_type == SHT_RELA && section.sh_info < sections.size();
    return std::ranges::contains(names, elf.name(relocates ? sections[section.sh_info] : section));
}

}  // namespace

std::string_view without_signature(std::string_view module) {
    constexpr std::string_view magic = "~Module signature appended~\n";
    constexpr size_t header_bytes = 12;  // struct module_signature: 8 bytes, then the length of the signature, big endian
    if (!module.ends_with(magic) || module.size() < magic.size() + header_bytes) return module;
    const std::string_view rest = module.substr(0, module.size() - magic.size());
    size_t length = 0;
    for (const char c : rest.substr(rest.size() - 4)) length = length << 8 | static_cast<unsigned char>(c);
    if (length > rest.size() - header_bytes) return module;
    return rest.substr(0, rest.size() - header_bytes - length);
}

std::string without_tracing(std::string module) {
    Elf elf(module);
    std::vector<Call> calls;
    if (elf.sections().empty() || !find_calls(elf, calls)) return module;
    for (const Call &call : calls) {
        Elf64_Rela entry;
        if (!elf.get(call.relocation, entry)) continue;
        entry.r_info = ELF64_R_INFO(0, R_X86_64_NONE);
        elf.put(call.relocation, entry);
        elf.put(call.site, no_op);
    }
    return elf.with_only([&](const Elf64_Shdr &section) { return !only_for_tracing(elf, section); }).value_or(module);
}

}  // namespace hostside
