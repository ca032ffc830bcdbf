#include "hostside/launch/foresight.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <format>
#include <string_view>

#include "hostside/base/nearest.h"
#include "mounts/base/at.h"
#include "mounts/boot/boot_parameters.h"
#include "mounts/boot/command_line.h"
#include "mounts/boot/fstab.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

// The formats that QEMU loads: bzImage and ELF (with a PVH entry, or multiboot). Only the content tells them apart (QEMU,
// hw/i386/x86-common.c, x86_load_linux).
Result<> check_kernel(const std::string &path) {
    auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!file) return fail(file.error().code, "open kernel", path, "name one with --kernel");
    struct stat st{};
    if (::fstat(file->get(), &st) < 0 || !S_ISREG(st.st_mode)) return fail(0, "read kernel", path, "it is not a regular file");
    std::string head(8192, '\0');  // the range in which a multiboot header may be
    head.resize(static_cast<size_t>(std::max<ssize_t>(0, ::pread(file->get(), head.data(), head.size(), 0))));
    constexpr size_t header_at = 0x202;
    constexpr std::string_view multiboot{"\x02\xb0\xad\x1b", 4};
    const bool bzimage = head.size() > header_at && head.compare(header_at, 4, "HdrS") == 0;
    if (bzimage || head.starts_with(ELFMAG) || head.contains(multiboot)) return {};
    return fail(0, "read kernel", path, "it is not an x86 kernel (a bzImage or an ELF file); name one with --kernel");
}

std::string nearest_parameter(std::string_view word) {
    constexpr size_t near = 4;
    std::string_view best;
    for (const std::string_view known : mounts::own_parameters())
        if (best.empty() || letters_apart(word, known) < letters_apart(word, best)) best = known;
    return !best.empty() && letters_apart(word, best) <= near ? std::format("did you mean {}?", best) : "see stage1(8)";
}

// Parses the parameters as stage 1 will, and returns the result.
Result<mounts::BootParameters> check_parameters(const std::string &command_line) {
    const auto words = mounts::parse_command_line(command_line);
    const auto known = mounts::own_parameters();
    for (const auto &word : words)
        if (word.name.starts_with("stage1.") && !std::ranges::contains(known, word.name))
            return fail(0, "kernel parameter", word.name,
                        "stage1 has no parameter of this name; " + nearest_parameter(word.name));
    auto parameters = mounts::boot_parameters(words);
    if (!parameters) return parameters;
    constexpr uint32_t any_msize = 131072;
    auto table = mounts::parse_fstab(mounts::default_fstab(any_msize), "built-in");
    if (!table) return std::unexpected(table.error());
    if (auto applied = mounts::apply_parameters(std::move(table->file_systems), *parameters, any_msize); !applied)
        return std::unexpected(applied.error());
    return parameters;
}

// The interpreter that the kernel would use for `head`. Empty: none (execve(2)).
std::string interpreter_of(const base::Fd &file, const std::string &head) {
    if (head.starts_with("#!")) {
        const size_t begin = head.find_first_not_of(" \t", 2);
        if (begin == std::string::npos) return {};
        return head.substr(begin, head.find_first_of(" \t\n", begin) - begin);
    }
    Elf64_Ehdr elf;
    if (!head.starts_with(ELFMAG) || head.size() < sizeof elf) return {};
    std::memcpy(&elf, head.data(), sizeof elf);
    for (size_t i = 0; i < elf.e_phnum; ++i) {
        Elf64_Phdr segment;
        const size_t at = elf.e_phoff + i * sizeof segment;
        if (::pread(file.get(), &segment, sizeof segment, static_cast<off_t>(at)) != sizeof segment) return {};
        if (segment.p_type != PT_INTERP || segment.p_filesz > PATH_MAX) continue;
        std::string name(segment.p_filesz, '\0');
        const ssize_t n = ::pread(file.get(), name.data(), name.size(), static_cast<off_t>(segment.p_offset));
        name.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
        return name.substr(0, name.find('\0'));
    }
    return {};
}

bool of_store(std::string_view path) { return path.starts_with(std::string(protocol::store_dir) + "/"); }

Result<> check_init(const Machine &m, const std::string &init) {
    const std::string path = in_store(m.store, init);
    constexpr std::string_view step = "find init";
    auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file && file.error().code == ENOENT)
        return fail(
            ENOENT, step, init,
            std::format("the store {} has no such file: is --toplevel from this store, and is init= in its closure?", m.store));
    if (!file) return {};  // perhaps readable only by root; the guest will report it if its 9p server fails too
    struct stat st{};
    if (::fstat(file->get(), &st) < 0) return {};
    if (!S_ISREG(st.st_mode)) return fail(0, step, init, "it is not a regular file");
    if ((st.st_mode & 0111) == 0) return fail(EACCES, step, init, "the file is not executable");
    std::string head(4096, '\0');
    head.resize(static_cast<size_t>(std::max<ssize_t>(0, ::pread(file->get(), head.data(), head.size(), 0))));
    const std::string interpreter = interpreter_of(*file, head);
    if (!of_store(interpreter) || ::access(in_store(m.store, interpreter).c_str(), F_OK) == 0) return {};
    return fail(ENOENT, step, init, std::format("its interpreter {} is not in the store {}", interpreter, m.store));
}

}  // namespace

Result<> foresee(const Machine &m, const Boot &boot) {
    if (auto kernel = check_kernel(boot.kernel); !kernel) return kernel;
    if (!m.initrd.empty()) return {};
    auto parameters = check_parameters(boot.command_line);
    if (!parameters) return std::unexpected(parameters.error());
    // Paths that the guest added to its store are on its disk.
    const bool grown = parameters->store_union == mounts::UnionMode::disk;
    if (!of_store(parameters->init) || grown) return {};
    return check_init(m, parameters->init);
}

}  // namespace hostside
