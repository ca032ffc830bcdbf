#include "mounts/boot/source.h"

#include <algorithm>
#include <array>
#include <format>
#include <ranges>

namespace mounts {

namespace {

// Options of overlayfs that hold paths (Documentation/filesystems/overlayfs.rst). Several paths are separated by colons.
constexpr std::array<std::string_view, 5> place_options{"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"};

// With these types the source is only a name, even if it looks like a device.
constexpr std::array<std::string_view, 3> without_device{"9p", "overlay", "tmpfs"};

bool is_device(std::string_view source) { return source.starts_with("/dev/") || source.contains('='); }

}  // namespace

std::string plain_path(std::string_view path) {
    std::string out;
    for (auto part : std::views::split(path, '/'))
        if (const std::string_view name(part); !name.empty() && name != ".") (out += '/') += name;
    return out.empty() ? "/" : out;
}

bool leads_up(std::string_view path) {
    return std::ranges::any_of(std::views::split(path, '/'), [](auto part) { return std::string_view(part) == ".."; });
}

bool is_bind(std::string_view options) {
    return std::ranges::any_of(std::views::split(options, ','),
                               [](auto part) { return std::string_view(part) == "bind" || std::string_view(part) == "rbind"; });
}

std::string option_value(std::string_view options, std::string_view name) {
    for (auto part : std::views::split(options, ',')) {
        const std::string_view option(part);
        if (option.starts_with(name) && option.substr(name.size()).starts_with('='))
            return std::string(option.substr(name.size() + 1));
    }
    return {};
}

std::vector<std::string> device_sources(std::string_view source, std::string_view type, std::string_view options) {
    if (is_bind(options) || std::ranges::contains(without_device, type)) return {};
    std::vector<std::string> found;
    for (auto part : std::views::split(source, ':')) found.emplace_back(std::string_view(part));
    // /dev/disk/by-path/pci-0000:00:05.0 is one device: the text after a colon is not a device.
    if (found.size() > 1 && std::ranges::all_of(found, is_device)) return found;
    if (is_device(source) || source.starts_with('/')) return {std::string(source)};
    return {};
}

std::vector<std::string> places(std::string_view source, std::string_view type, std::string_view options) {
    std::vector<std::string> found;
    if (is_bind(options)) found.emplace_back(source);
    if (type == "overlay")
        (void)replace_places(options, [&](const std::string &path) -> base::Result<std::string> {
            found.push_back(path);
            return std::string();
        });
    return found;
}

base::Result<std::string> replace_places(std::string_view overlay_options, const ReplacePlace &place) {
    std::string out;
    for (auto part : std::views::split(overlay_options, ',')) {
        const std::string_view option(part);
        const size_t equals = option.find('=');
        (out += out.empty() ? "" : ",") += option.substr(0, equals == std::string_view::npos ? equals : equals + 1);
        if (equals == std::string_view::npos) continue;
        if (!std::ranges::contains(place_options, option.substr(0, equals))) {
            out += option.substr(equals + 1);
            continue;
        }
        std::string_view colon = "";
        for (auto one : std::views::split(option.substr(equals + 1), ':')) {
            const std::string path{std::string_view(one)};
            auto replaced = path.empty() ? base::Result<std::string>(path) : place(path);  // empty: `::` precedes data layers
            if (!replaced) return replaced;
            if (replaced->find_first_of(",:\\\"") != std::string::npos)
                return base::fail(0, "resolve", path, "a comma, colon, quote or backslash in an overlay's place");
            (out += colon) += *replaced;
            colon = ":";
        }
    }
    return out;
}

}  // namespace mounts
