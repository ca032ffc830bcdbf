#include "hostside/boot/module_image.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <catch_amalgamated.hpp>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace std::string_view_literals;

template <class T>
void append(std::string &bytes, const T &value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

constexpr std::string_view names =
    "\0.text\0.rela.text\0.symtab\0.strtab\0__mcount_loc\0_ftrace_eval_map\0.BTF\0.rela.orc_unwind_ip\0.data\0"sv;
constexpr std::string_view symbols = "\0__fentry__\0printk\0"sv;

// A module with one function that calls __fentry__ and printk, and the sections for tracing and unwinding.
std::string module(std::string_view code = "\xe8\0\0\0\0\xe8\0\0\0\0\xc3"sv) {
    std::string bytes(sizeof(Elf64_Ehdr), '\0');
    std::vector<Elf64_Shdr> sections(1);
    const auto section = [&](std::string_view name, uint32_t type, uint64_t flags, std::string_view data) -> Elf64_Shdr & {
        Elf64_Shdr header{};
        header.sh_name = static_cast<Elf64_Word>(names.find(name) + (name.starts_with('\0') ? 1 : 0));
        header.sh_type = type;
        header.sh_flags = flags;
        header.sh_offset = bytes.size();
        header.sh_size = data.size();
        bytes += data;
        return sections.emplace_back(header);
    };
    section("\0.text"sv, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, code);
    std::string relocations;
    append(relocations, Elf64_Rela{1, ELF64_R_INFO(1, R_X86_64_PLT32), -4});
    append(relocations, Elf64_Rela{6, ELF64_R_INFO(2, R_X86_64_PLT32), -4});
    auto &rela = section(".rela.text", SHT_RELA, 0, relocations);
    rela.sh_info = 1;
    rela.sh_link = 3;
    std::string table(sizeof(Elf64_Sym), '\0');
    for (const Elf64_Word name : {1U, 12U}) append(table, Elf64_Sym{.st_name = name});
    section(".symtab", SHT_SYMTAB, 0, table).sh_link = 4;
    section(".strtab", SHT_STRTAB, 0, symbols);
    section("__mcount_loc", SHT_PROGBITS, SHF_ALLOC, "12345678");
    section("_ftrace_eval_map", SHT_PROGBITS, SHF_ALLOC, "12345678");
    section(".BTF", SHT_PROGBITS, 0, "btf");
    section(".orc_unwind_ip", SHT_PROGBITS, SHF_ALLOC, "1234");
    auto &unwinder = section(".rela.orc_unwind_ip", SHT_RELA, 0, relocations.substr(sizeof(Elf64_Rela)));
    unwinder.sh_info = 8;
    unwinder.sh_link = 3;
    section(".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, "kept").sh_addralign = 16;
    section("\0"sv, SHT_STRTAB, 0, names);
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_type = ET_REL;
    header.e_machine = EM_X86_64;
    header.e_shoff = bytes.size();
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<Elf64_Half>(sections.size());
    header.e_shstrndx = static_cast<Elf64_Half>(sections.size() - 1);
    for (const Elf64_Shdr &s : sections) append(bytes, s);
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

template <class T>
T at(const std::string &bytes, uint64_t offset) {
    T value;
    REQUIRE(offset + sizeof value <= bytes.size());
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

Elf64_Shdr section(const std::string &bytes, size_t index) {
    return at<Elf64_Shdr>(bytes, at<Elf64_Ehdr>(bytes, 0).e_shoff + index * sizeof(Elf64_Shdr));
}

std::string signed_module(std::string_view body, std::string_view signature) {
    std::string text(body);
    text.append(signature).append(std::string(8, '\0'));
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(signature.size() >> shift);
    return text + "~Module signature appended~\n";
}

}  // namespace

TEST_CASE("without tracing, a module's calls of __fentry__ are no-ops and other calls stay") {
    const std::string before = module();
    const std::string after = hostside::without_tracing(before);
    const uint64_t text = section(after, 1).sh_offset;
    CHECK(after.substr(text, 11) == "\x0f\x1f\x44\0\0\xe8\0\0\0\0\xc3"sv);
    const uint64_t relocations = section(after, 2).sh_offset;
    CHECK(at<Elf64_Rela>(after, relocations).r_info == ELF64_R_INFO(0, R_X86_64_NONE));
    CHECK(at<Elf64_Rela>(after, relocations + sizeof(Elf64_Rela)).r_info == ELF64_R_INFO(2, R_X86_64_PLT32));
}

TEST_CASE("without tracing, a module has neither ftrace's lists, BTF nor the unwinder's tables, and is shorter by them") {
    const std::string before = module();
    const std::string after = hostside::without_tracing(before);
    for (const size_t index : {5U, 6U, 7U, 8U, 9U}) {
        INFO(index);
        CHECK(section(after, index).sh_type == SHT_NULL);
        CHECK(section(after, index).sh_flags == 0);
        CHECK(section(after, index).sh_size == 0);
    }
    CHECK(before.size() - after.size() >= 8 + 8 + 3 + 4);
}

TEST_CASE("without tracing, what stays of a module is the same, aligned, under the same index") {
    const std::string before = module();
    const std::string after = hostside::without_tracing(before);
    CHECK(at<Elf64_Ehdr>(after, 0).e_shnum == at<Elf64_Ehdr>(before, 0).e_shnum);
    for (const size_t index : {3U, 4U, 10U, 11U}) {
        const Elf64_Shdr was = section(before, index);
        const Elf64_Shdr is = section(after, index);
        INFO(index);
        CHECK(after.substr(is.sh_offset, is.sh_size) == before.substr(was.sh_offset, was.sh_size));
        CHECK(is.sh_flags == was.sh_flags);
        CHECK(is.sh_name == was.sh_name);
    }
    CHECK(section(after, 10).sh_offset % 16 == 0);
    CHECK(hostside::without_tracing(after) == after);
}

TEST_CASE("a module whose __fentry__ is not called as expected keeps its tracing") {
    const std::string jumps = module("\xe9\0\0\0\0\xe8\0\0\0\0\xc3"sv);
    CHECK(hostside::without_tracing(jumps) == jumps);
}

TEST_CASE("what is no module is left alone, and one that is damaged anywhere never grows or crashes") {
    CHECK(hostside::without_tracing("no ELF") == "no ELF");
    CHECK(hostside::without_tracing("").empty());
    const std::string whole = module();
    for (size_t size = 0; size < whole.size(); ++size) CHECK(hostside::without_tracing(whole.substr(0, size)).size() <= size);
    for (size_t i = 0; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = '\xff';
        CHECK(hostside::without_tracing(damaged).size() <= whole.size());
    }
}

TEST_CASE("an appended signature is cut off, and damage is left as it is") {
    CHECK(hostside::without_signature(signed_module("body", "sig")) == "body");
    CHECK(hostside::without_signature("body") == "body");
    std::string damaged = signed_module("b", "sig");
    damaged[damaged.size() - 28 - 2] = '\x7f';
    CHECK(hostside::without_signature(damaged) == damaged);
}
