// What a line of fstab(5) mounts: devices, or places of the root that is being put together (a bind mount's source, the
// layers of an overlay), or what the kernel makes up. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace mounts {

// `/nix//store/` and `/nix/./store` are /nix/store.
std::string plain_path(std::string_view path);

// `..` in a path of the target root leads to another place than it says.
bool leads_up(std::string_view path);

bool is_bind(std::string_view options);

// Of `name=value` among options; empty: not there.
std::string option_value(std::string_view options, std::string_view name);

// The devices, each a spec of find_device.h: several of one file system are `/dev/vda:/dev/vdb`. Empty: it needs none.
std::vector<std::string> device_sources(std::string_view source, std::string_view type, std::string_view options);

// The places of the root, absolute in it, of a bind mount or an overlay.
std::vector<std::string> places(std::string_view source, std::string_view type, std::string_view options);

// An overlay's options with each of its places as `place` says. Error: one of `place`; a place that has a comma, a colon or a
// backslash afterwards, which these options have no room for.
using ReplacePlace = std::function<base::Result<std::string>(const std::string &path)>;
base::Result<std::string> replace_places(std::string_view overlay_options, const ReplacePlace &place);

}  // namespace mounts
