#include "mounts/boot/fstab.h"

#include <libmount/libmount.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <format>
#include <memory>
#include <ranges>

#include "mounts/boot/mount_order.h"
#include "mounts/boot/source.h"
#include "mounts/path_trace.h"
#include "mounts/protocol.h"

namespace mounts {

namespace {

using base::fail;
using base::Result;

using Table = std::unique_ptr<libmnt_table, decltype(&mnt_unref_table)>;
using Stream = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

// libmount calls this for a line that it cannot parse and then continues; we stop at the first such line.
int remember_line(libmnt_table *table, const char *, int line) {
    *static_cast<int *>(mnt_table_get_userdata(table)) = line;
    return -1;
}

std::string nine_p_options(std::string_view access, std::string_view cache, uint32_t msize_bytes) {
    return std::format("{},trans=virtio,version=9p2000.L,cache={},msize={}", access, cache, msize_bytes);
}

// False: stage1 has no such option.
bool take_own_option(FileSystem &fs, std::string_view option) {
    if (option == "x-stage1.mkfs")
        fs.mkfs = true;
    else if (option == "x-stage1.optional")
        fs.optional = true;
    else if (option == "x-stage1.union=tmpfs")
        fs.store_union = UnionMode::tmpfs;
    else if (option == "x-stage1.union=disk")
        fs.store_union = UnionMode::disk;
    else if (option == "x-stage1.union=off")
        fs.store_union = UnionMode::off;
    else
        return false;
    return true;
}

// Why stage 1 skips a line. Empty: it does not.
std::string_view for_others(libmnt_fs *entry) {
    if (mnt_fs_is_swaparea(entry) != 0) return "stage 2 turns swap space on";
    if (mnt_fs_match_options(entry, "+noauto") != 0) return "noauto: it is mounted on demand";
    return {};
}

std::string text_of(const char *text) { return text != nullptr ? text : ""; }

// The line number of each table entry. libmount makes an entry of every line that is neither empty nor a comment.
std::vector<int> entry_lines(std::string_view text) {
    std::vector<int> lines;
    int number = 0;
    for (auto part : std::views::split(text, '\n')) {
        ++number;
        const std::string_view line(part);
        const size_t first = line.find_first_not_of(" \t\r");
        if (first != std::string_view::npos && line[first] != '#') lines.push_back(number);
    }
    return lines;
}

std::unexpected<base::Error> bad_field(const std::string &name, int line, std::string_view field, std::string_view what) {
    return fail(0, "fstab", name, std::format("line {}, {}: {}", line, field, what));
}

Result<> check_places(const FileSystem &fs, const std::string &name) {
    for (const std::string &place : places(fs.source, fs.type, fs.options)) {
        const std::string_view field = is_bind(fs.options) ? "source" : "options";
        if (!place.starts_with('/'))
            return bad_field(name, fs.line, field, std::format("'{}' is not an absolute path in the root", place));
        if (leads_up(place)) return bad_field(name, fs.line, field, std::format("'{}' must not contain '..'", place));
    }
    return {};
}

Result<FileSystem> from_entry(libmnt_fs *entry, int line, const std::string &name) {
    FileSystem fs{.source = text_of(mnt_fs_get_source(entry)),
                  .target = text_of(mnt_fs_get_target(entry)),
                  .type = text_of(mnt_fs_get_fstype(entry)),
                  .check_pass = mnt_fs_get_passno(entry),
                  .line = line};
    if (!fs.target.starts_with('/'))
        return bad_field(name, line, "mount point", std::format("'{}' is not an absolute path", fs.target));
    if (leads_up(fs.target)) return bad_field(name, line, "mount point", std::format("'{}' must not contain '..'", fs.target));
    fs.target = plain_path(fs.target);
    for (auto part : std::views::split(text_of(mnt_fs_get_options(entry)), ',')) {
        const std::string_view option(part);
        if (option.starts_with("x-stage1.")) {
            if (!take_own_option(fs, option))
                return bad_field(name, line, "options",
                                 std::format("'{}' of {}: expected x-stage1.mkfs, x-stage1.optional or "
                                             "x-stage1.union=off|tmpfs|disk",
                                             option, fs.target));
            continue;
        }
        if (option == "nofail") fs.optional = true;
        if (option == "x-nixos.autoresize") fs.autoresize = true;
        if (option.empty() || option.starts_with("x-")) continue;
        fs.options += fs.options.empty() ? std::string(option) : std::format(",{}", option);
    }
    if (fs.mkfs && fs.type != "ext4")
        return bad_field(name, line, "type",
                         std::format("x-stage1.mkfs of {}: only ext4 can be made, not {}", fs.target, fs.type));
    if (fs.mkfs && device_sources(fs.source, fs.type, fs.options).size() != 1)
        return bad_field(name, line, "source", std::format("x-stage1.mkfs of {}: '{}' is not a device", fs.target, fs.source));
    if (auto checked = check_places(fs, name); !checked) return std::unexpected(checked.error());
    return fs;
}

Result<> check(const std::vector<FileSystem> &table, const std::string &name) {
    if (table.empty() || table.front().target != "/") return fail(0, "fstab", name, "no file system for '/'");
    const auto twice = std::ranges::adjacent_find(table, {}, &FileSystem::target);
    if (twice != table.end())
        return bad_field(name, std::next(twice)->line, "mount point",
                         std::format("line {} has a file system for '{}' too", twice->line, twice->target));
    return {};
}

FileSystem *find(std::vector<FileSystem> &table, std::string_view target) {
    const auto found = std::ranges::find(table, target, &FileSystem::target);
    return found == table.end() ? nullptr : &*found;
}

void add_option(std::string &options, std::string_view more) {
    if (more.empty()) return;
    options += options.empty() ? std::string(more) : std::format(",{}", more);
}

// The kernel accepts `root=vda` for /dev/vda.
std::string device_path(const std::string &root, std::string_view type) {
    const bool bare = !root.empty() && root.find_first_of("/=:") == std::string::npos && type != "9p" && type != "virtiofs";
    return bare ? "/dev/" + root : root;
}

void replace_root(FileSystem &root, const BootParameters &parameters) {
    const bool in_memory = parameters.root == "tmpfs" || parameters.root == "none";
    if (in_memory) {
        root = FileSystem{.source = "tmpfs", .target = "/", .type = "tmpfs", .options = "mode=755"};
    } else {
        // NixOS with systemd in the initrd passes `root=fstab`: the table decides.
        if (parameters.root && parameters.root != "fstab")
            root.source = device_path(*parameters.root, parameters.root_type.value_or(root.type));
        if (parameters.root_type) {
            root.type = *parameters.root_type;
            root.mkfs = root.mkfs && root.type == "ext4";
        }
    }
    for (auto part : std::views::split(parameters.root_options.value_or(""), ',')) {
        const std::string_view option(part);
        if (option == "x-nixos.autoresize")
            root.autoresize = !in_memory;
        else
            add_option(root.options, option);
    }
    // A read-only empty root would be useless, so `ro` does not apply to it.
    if (parameters.root_read_only && !in_memory) add_option(root.options, "ro");
}

// Replaces what is mounted as the store. The mount point, and whether a union lies over it, stay unchanged.
void replace_store(std::vector<FileSystem> &table, StoreKind kind, uint32_t msize_bytes) {
    FileSystem *store = find(table, protocol::store_dir);
    if (store == nullptr) store = &table.emplace_back(FileSystem{.target = std::string(protocol::store_dir)});
    switch (kind) {
    case StoreKind::nine_p:
        store->type = "9p";
        store->options = nine_p_options("ro", "loose", msize_bytes);
        break;
    case StoreKind::erofs: store->type = "erofs"; break;
    case StoreKind::virtiofs: store->type = "virtiofs"; break;
    }
    if (kind != StoreKind::nine_p) store->options = "ro";
    store->source = kind == StoreKind::erofs ? std::format("serial={}", protocol::store_disk_serial) : protocol::store_tag;
}

// The host offers this share over virtiofs. The options that only 9p has would be errors there
// (Documentation/filesystems/9p.rst).
void mount_over_virtiofs(FileSystem &fs) {
    constexpr std::array<std::string_view, 10> nine_ps{
        "trans=", "version=", "msize=", "cache=", "access=", "aname=", "uname=", "debug=", "posixacl", "cachetag="};
    fs.type = "virtiofs";
    std::string kept;
    for (auto part : std::views::split(fs.options, ',')) {
        const std::string_view option(part);
        if (std::ranges::none_of(nine_ps, [&](std::string_view one) { return option.starts_with(one); }))
            add_option(kept, option);
    }
    fs.options = std::move(kept);
}

}  // namespace

Result<Fstab> parse_fstab(const std::string &text, const std::string &name) {
    const Table table(mnt_new_table(), &mnt_unref_table);
    // fmemopen rejects an empty buffer, and an empty fstab is an error anyway because it has no root.
    const Stream stream(text.empty() ? nullptr : ::fmemopen(const_cast<char *>(text.data()), text.size(), "r"), &std::fclose);
    int bad_line = 0;
    mnt_table_set_userdata(table.get(), &bad_line);
    mnt_table_set_parser_errcb(table.get(), remember_line);
    if (stream && (mnt_table_parse_stream(table.get(), stream.get(), name.c_str()) != 0 || bad_line != 0))
        return fail(0, "fstab", name, std::format("line {} is not one of fstab(5): source, target, type, options", bad_line));

    Fstab result;
    const std::vector<int> lines = entry_lines(text);
    size_t index = 0;
    libmnt_fs *entry = nullptr;
    for (std::unique_ptr<libmnt_iter, decltype(&mnt_free_iter)> iter(mnt_new_iter(MNT_ITER_FORWARD), &mnt_free_iter);
         mnt_table_next_fs(table.get(), iter.get(), &entry) == 0; ++index) {
        const int line = index < lines.size() ? lines[index] : 0;
        if (const auto why = for_others(entry); !why.empty()) {
            result.passed_over.push_back(std::format("fstab '{}': line {} ({} {}) is skipped: {}", name, line,
                                                     text_of(mnt_fs_get_source(entry)), text_of(mnt_fs_get_target(entry)), why));
            continue;
        }
        auto fs = from_entry(entry, line, name);
        if (!fs) return std::unexpected(fs.error());
        result.file_systems.push_back(std::move(*fs));
    }
    std::ranges::stable_sort(result.file_systems, {}, &FileSystem::target);
    if (auto checked = check(result.file_systems, name); !checked) return std::unexpected(checked.error());
    result.file_systems = in_mount_order(std::move(result.file_systems));
    return result;
}

std::string default_fstab(uint32_t msize_bytes) {
    namespace p = protocol;
    std::string text = std::format("{} / ext4 rw,x-stage1.mkfs 0 1\n", p::default_root_device);
    // The store never changes while we use it, so cache=loose (no revalidation) is safe. The other shares use cache=mmap
    // because changes by the host must be visible.
    text += std::format("{} {} 9p {} 0 0\n", p::store_tag, p::store_dir, nine_p_options("ro", "loose", msize_bytes));
    text += std::format("{} {} 9p {} 0 0\n", p::xchg_tag, p::xchg_dir, nine_p_options("rw", "mmap", msize_bytes));
    text += std::format("{} {} 9p {} 0 0\n", p::shared_tag, p::shared_dir, nine_p_options("rw", "mmap", msize_bytes));
    return text;
}

Result<std::vector<FileSystem>> apply_parameters(std::vector<FileSystem> table, const BootParameters &parameters,
                                                 uint32_t msize_bytes) {
    FileSystem *root = find(table, "/");
    if (root == nullptr) return fail(0, "fstab", "/", "no file system for '/'");
    if (parameters.root == "gpt-auto")
        return fail(0, "kernel parameter", "root=gpt-auto",
                    "stage1 does not search for the root by partition type; name it: a path, LABEL=, UUID=, PARTUUID= "
                    "or serial=");
    replace_root(*root, parameters);
    if (parameters.store_kind) replace_store(table, *parameters.store_kind, msize_bytes);
    if (parameters.store_union) {
        FileSystem *store = find(table, protocol::store_dir);
        if (store == nullptr && *parameters.store_union != UnionMode::off)
            return fail(0, "kernel parameter", std::format("{}={}", protocol::union_parameter, name(*parameters.store_union)),
                        "the fstab has no /nix/store for a union to lie on");
        if (store != nullptr) store->store_union = *parameters.store_union;
    }
    if (parameters.union_trace &&
        std::ranges::none_of(table, [](const FileSystem &fs) { return fs.store_union != UnionMode::off; }))
        return fail(0, "kernel parameter", std::format("{}=paths", protocol::union_trace_parameter),
                    "only a union traces used paths, and this machine's store has none (stage1.union=tmpfs)");
    if (!parameters.boot.empty())
        table.push_back({.source = parameters.boot,
                         .target = "/boot",
                         .type = "auto",
                         .options = "ro",
                         .mkfs = false,
                         .optional = false,
                         .autoresize = false,
                         .store_union = UnionMode::off,
                         .check_pass = 0,
                         .line = 0});
    for (const Share &share : parameters.shares) {
        FileSystem fs{
            .source = share.tag, .target = share.target, .type = "9p", .options = nine_p_options("rw", "mmap", msize_bytes)};
        add_option(fs.options, share.options);
        if (FileSystem *same = find(table, share.target))
            *same = std::move(fs);
        else
            table.push_back(std::move(fs));
    }
    for (FileSystem &fs : table)
        if (fs.type == "9p" && std::ranges::contains(parameters.virtiofs_tags, fs.source)) mount_over_virtiofs(fs);
    return in_mount_order(std::move(table));
}

}  // namespace mounts
