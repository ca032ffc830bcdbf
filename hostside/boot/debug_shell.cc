#include "hostside/boot/debug_shell.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <format>

#include "hostside/base/program_path.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view give_one =
    "install a static one (Debian: busybox-static, NixOS: pkgsStatic.busybox) or name one with --debug-shell=FILE";

template <class T>
bool read_at(const base::Fd &file, off_t at, T &value) {
    return ::pread(file.get(), &value, sizeof value, at) == static_cast<ssize_t>(sizeof value);
}

// Why the file cannot be used; empty: it is static and can be.
std::string why_not(const std::string &path) {
    const auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!file) return base::errno_text(file.error().code);
    struct stat st{};
    Elf64_Ehdr header{};
    if (::fstat(file->get(), &st) < 0 || !S_ISREG(st.st_mode)) return "it is not a regular file";
    if (!read_at(*file, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
        return "it is not an x86_64 program";
    for (int i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr part{};
        if (!read_at(*file, static_cast<off_t>(header.e_phoff) + i * header.e_phentsize, part)) return "it is truncated";
        if (part.p_type == PT_INTERP) return "it is not static, and an initrd has no libraries";
    }
    return "";
}

}  // namespace

Result<std::string> find_debug_shell(const std::string &wish) {
    constexpr std::string_view step = "take debug shell";
    if (wish != any_debug_shell) {
        const std::string why = why_not(wish);
        return why.empty() ? Result<std::string>(wish) : fail(0, step, wish, std::format("{}; {}", why, give_one));
    }
    std::string others;
    for (auto &path : programs_named("busybox", {"/bin", "/usr/bin", "/run/current-system/sw/bin"})) {
        const std::string why = why_not(path);
        if (why.empty()) return std::move(path);
        if (others.empty()) others = std::format("{}: {}", path, why);
    }
    return fail(0, step, "busybox", std::format("{}; {}", others.empty() ? "none is in PATH" : others, give_one));
}

}  // namespace hostside
