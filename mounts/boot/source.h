// What a line of fstab(5) mounts: devices, paths in the target root (a bind mount's source, the layers of an overlay), or
// something that the kernel provides. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace mounts {

// Normalizes a path: `/nix//store/` and `/nix/./store` become /nix/store.
std::string plain_path(std::string_view path);

// Whether a path in the target root contains `..`, which may lead somewhere else.
bool leads_up(std::string_view path);

bool is_bind(std::string_view options);

// The value of `name=value` among the options; empty: not there.
std::string option_value(std::string_view options, std::string_view name);

// The devices, each in the syntax of find_device.h. A file system on several devices is `/dev/vda:/dev/vdb`. Empty: it needs
// none.
std::vector<std::string> device_sources(std::string_view source, std::string_view type, std::string_view options);

// The paths that a bind mount or an overlay is made from, absolute in the target root.
std::vector<std::string> places(std::string_view source, std::string_view type, std::string_view options);

// Replaces each path in an overlay's options with what `place` returns for it. Error: `place` failed, or a resulting path has a
// comma, a colon or a backslash, which these options cannot express.
using ReplacePlace = std::function<base::Result<std::string>(const std::string &path)>;
base::Result<std::string> replace_places(std::string_view overlay_options, const ReplacePlace &place);

}  // namespace mounts
