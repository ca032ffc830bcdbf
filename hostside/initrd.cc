#include "hostside/initrd.h"

#include <fcntl.h>

#include <algorithm>
#include <format>
#include <map>
#include <ranges>
#include <set>

#include "hostside/cpio.h"
#include "mounts/base/at.h"
#include "mounts/decompress.h"
#include "mounts/module_index.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

// Big-endian length in the last 4 of the 12 bytes before the magic text (struct module_signature).
constexpr std::string_view signature_magic = "~Module signature appended~\n";

Result<std::string> read_module(const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    return path.ends_with(".ko") ? base::read_all(fd->get(), path, mounts::module_limit_bytes)
                                 : mounts::decompress_module(fd->get(), path);
}

// `kernel/fs/ext4/ext4.ko.xz` → `kernel/fs/ext4/ext4.ko`
std::string plain_name(std::string_view path) { return std::string(path.substr(0, path.rfind(".ko") + 3)); }

// The lines of modules.dep, modules.alias and modules.softdep that speak of chosen modules, in their order.
std::string trimmed_dep(std::string_view text, const std::set<std::string, std::less<>> &chosen) {
    std::string out;
    for (auto part : std::views::split(text, '\n')) {
        const std::string_view line(part);
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || !chosen.contains(line.substr(0, colon))) continue;
        out += plain_name(line.substr(0, colon)) + ":";
        for (auto word : std::views::split(line.substr(colon + 1), ' '))
            if (const std::string_view path(word); !path.empty()) out += " " + plain_name(path);
        out += "\n";
    }
    return out;
}

std::string trimmed(std::string_view text, size_t module_word, const std::set<std::string> &names) {
    std::string out;
    for (auto part : std::views::split(text, '\n')) {
        const std::string_view line(part);
        std::vector<std::string_view> words;
        for (auto word : std::views::split(line, ' ')) words.emplace_back(word);
        if (line.starts_with('#') || words.size() <= module_word || !names.contains(mounts::module_name(words[module_word])))
            continue;
        out += std::string(line) + "\n";
    }
    return out;
}

void add_parents(CpioWriter &cpio, std::set<std::string> &made, std::string_view path) {
    for (size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
        if (made.insert(std::string(path.substr(0, slash))).second) cpio.directory(path.substr(0, slash));
}

Result<> add_modules(CpioWriter &cpio, std::set<std::string> &made, const InitrdSpec &spec) {
    const auto text = [&](const char *name) { return base::read_file(spec.modules + "/" + name); };
    auto dep = text("modules.dep");
    if (!dep) return std::unexpected(dep.error());
    const std::string alias = text("modules.alias").value_or(""), softdep = text("modules.softdep").value_or("");
    const std::string builtin = text("modules.builtin").value_or("");
    std::vector<std::string> names = default_modules();
    names.insert(names.end(), spec.wanted.begin(), spec.wanted.end());
    const mounts::ModulePlan plan = mounts::ModuleIndex({*dep, alias, softdep, builtin}).plan(names);
    for (const auto &name : spec.wanted)
        if (std::ranges::contains(plan.missing, name))
            return fail(0, "initrd", name,
                        std::format("no module of this name or alias in {}, and it is not built in", spec.modules));

    std::map<std::string, std::string> files;  // sorted: the archive does not depend on the order of the walk
    std::set<std::string, std::less<>> chosen;
    std::set<std::string> chosen_names;
    const std::string release = spec.modules.substr(spec.modules.rfind('/') + 1);
    for (const auto &step : plan.steps) {
        auto module = read_module(spec.modules + "/" + step.path);
        if (!module) return std::unexpected(module.error());
        module->resize(without_signature(*module).size());
        files.emplace(plain_name(step.path), std::move(*module));
        chosen.insert(step.path);
        chosen_names.insert(mounts::module_name(step.path));
    }
    files.emplace("modules.dep", trimmed_dep(*dep, chosen));
    files.emplace("modules.alias", trimmed(alias, 2, chosen_names));
    files.emplace("modules.softdep", trimmed(softdep, 1, chosen_names));
    files.emplace("modules.builtin", builtin);
    for (const auto &[name, data] : files) {
        const std::string path = std::format("lib/modules/{}/{}", release, name);
        add_parents(cpio, made, path);
        cpio.file(path, data);
    }
    return {};
}

}  // namespace

const std::vector<std::string> &default_modules() {
    static const std::vector<std::string> names{"virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio",
                                                "9p",         "ext4",       "crc32c",         "overlay",
                                                "fuse",       "pvpanic",    "pvpanic_mmio",   "pvpanic_pci"};
    return names;
}

std::string_view without_signature(std::string_view module) {
    constexpr size_t info_bytes = 12;
    if (!module.ends_with(signature_magic) || module.size() < signature_magic.size() + info_bytes) return module;
    const std::string_view body = module.substr(0, module.size() - signature_magic.size());
    size_t length = 0;
    for (const char c : body.substr(body.size() - 4)) length = length << 8 | static_cast<unsigned char>(c);
    return length + info_bytes <= body.size() ? body.substr(0, body.size() - info_bytes - length) : module;
}

Result<std::string> make_initrd(const InitrdSpec &spec) {
    auto stage1 = base::read_file(spec.stage1);
    if (!stage1) {
        auto error = stage1.error();
        error.hint = "the guest's stage 1; name it with --stage1";
        return std::unexpected(std::move(error));
    }
    CpioWriter cpio;
    std::set<std::string> made;
    for (const char *directory : {"dev", "etc", "etc/stage1", "mnt-root", "proc", "run", "sbin", "sys"}) {
        cpio.directory(directory);
        made.insert(directory);
    }
    cpio.character_device("dev/console", 5, 1);
    cpio.file("init", *stage1, 0755);
    // The kernel asks for modules by itself (kernel/module/kmod.c): stage1 answers under that name.
    cpio.symlink("sbin/modprobe", "../init");
    if (!spec.always.empty()) {
        std::string names;
        for (const auto &name : spec.always) names += name + "\n";
        cpio.file("etc/stage1/modules", names);
    }
    if (!spec.modules.empty())
        if (auto added = add_modules(cpio, made, spec); !added) return std::unexpected(added.error());
    return cpio.finish();
}

}  // namespace hostside
