#include "mounts/boot/boot_parameters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <functional>
#include <map>
#include <ranges>

#include "mounts/boot/source.h"
#include "mounts/boot/step.h"
#include "mounts/path_trace.h"
#include "mounts/protocol.h"

namespace mounts {

namespace {

using base::fail;
using base::Result;

// Each parser sets its part of `out` from a value; a bare parameter has an empty value.
using Parser = std::function<Result<>(BootParameters &out, const std::string &value)>;

std::unexpected<base::Error> bad_value(std::string_view parameter, std::string_view value, std::string_view expected) {
    return fail(0, "kernel parameter", std::format("{}={}", parameter, value), std::format("expected {}", expected));
}

template <class T>
Parser one_of(std::string_view parameter, T BootParameters::*field,
              std::vector<std::pair<std::string_view, decltype(T{})>> values) {
    return [=](BootParameters &out, const std::string &value) -> Result<> {
        std::string expected;
        for (const auto &[text, meaning] : values) {
            if (value == text) {
                out.*field = meaning;
                return {};
            }
            expected += std::format("{}{}", expected.empty() ? "" : " | ", text);
        }
        return bad_value(parameter, value, expected);
    };
}

Parser flag(bool BootParameters::*field) {
    return [=](BootParameters &out, const std::string &) -> Result<> {
        out.*field = true;
        return {};
    };
}

template <class Field>
Parser text(Field BootParameters::*field) {
    return [=](BootParameters &out, const std::string &value) -> Result<> {
        out.*field = value;
        return {};
    };
}

Parser absolute_path(std::string_view parameter, std::string BootParameters::*field) {
    return [=](BootParameters &out, const std::string &value) -> Result<> {
        if (!value.starts_with('/')) return bad_value(parameter, value, "an absolute path in the target root");
        out.*field = value;
        return {};
    };
}

Result<> parse_timeout(BootParameters &out, const std::string &value) {
    int seconds = -1;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc{} || end != value.data() + value.size() || seconds < 0 || seconds > 3600)
        return bad_value(protocol::device_timeout_parameter, value, "seconds from 0 to 3600");
    out.device_timeout_s = seconds;
    return {};
}

// Why nothing can be shared at this target. Empty: it can.
std::string_view why_no_share(std::string_view target) {
    if (target == "/") return "it is the root";
    for (const std::string_view store : {protocol::store_dir, protocol::store_lower_dir, protocol::store_upper_dir})
        if (target == store) return "it is the store's";
    if (target == "/run") return "it is already mounted, and stage 2 needs its content (a directory in it will do)";
    for (const std::string_view kernels : {"/proc", "/sys", "/dev"})
        if (target == kernels || (target.starts_with(kernels) && target[kernels.size()] == '/'))
            return "it belongs to the kernel";
    return {};
}

Result<> parse_share(BootParameters &out, const std::string &value) {
    const size_t first = value.find(':');
    const size_t second = first == std::string::npos ? first : value.find(':', first + 1);
    Share share;
    share.tag = value.substr(0, first);
    if (first != std::string::npos)
        share.target = value.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    if (second != std::string::npos) share.options = value.substr(second + 1);
    if (share.tag.empty() || !share.target.starts_with('/'))
        return bad_value(protocol::share_parameter, value, "TAG:TARGET[:OPTIONS] with an absolute TARGET");
    if (leads_up(share.target)) return bad_value(protocol::share_parameter, value, "a TARGET without '..'");
    share.target = plain_path(share.target);
    if (const auto why = why_no_share(share.target); !why.empty())
        return fail(
            0, "kernel parameter", std::format("{}={}", protocol::share_parameter, value),
            std::format("nothing can be shared at {}: {}; choose another target, as /mnt/{}", share.target, why, share.tag));
    out.shares.push_back(std::move(share));
    return {};
}

Result<> parse_virtiofs_tags(BootParameters &out, const std::string &value) {
    out.virtiofs_tags.clear();
    for (auto part : std::views::split(value, ',')) {
        const std::string_view tag(part);
        if (tag.empty()) return bad_value(protocol::virtiofs_parameter, value, "mount tags, separated by commas");
        out.virtiofs_tags.emplace_back(tag);
    }
    return {};
}

// The options of unionfs(8) that an administrator may set; stage 1 sets the layers and the mount point.
Result<> parse_union_options(BootParameters &out, const std::string &value) {
    constexpr std::array<std::string_view, 5> known{"mode", "io_uring", "max_files", "stale_readers", "volatile"};
    for (const auto word : std::views::split(value, ','))
        if (const std::string_view option(word); !std::ranges::contains(known, option.substr(0, option.find('='))))
            return bad_value(protocol::union_options_parameter, value,
                             "options of unionfs(8): mode= | io_uring= | max_files= | stale_readers | volatile, with commas");
    out.union_options = value;
    return {};
}

// With an unknown name the boot would never stop, so it is an error.
Result<> parse_break(BootParameters &out, const std::string &value) {
    const std::string_view name = std::string_view(value).substr(0, value.find(':'));
    if (const auto phase = protocol::boot_phase(value)) {
        out.break_before.push_back(*phase);
    } else if (std::ranges::contains(step_kinds, name)) {
        out.break_before_steps.push_back(value);
    } else {
        std::string expected = "a phase:";
        for (const auto known : protocol::boot_phase_names) expected += std::format(" {}", known);
        expected += "; or a step, as mount or mount:/nix/store:";
        for (const auto step : step_kinds) expected += std::format(" {}", step);
        return bad_value(protocol::break_parameter, value, expected);
    }
    return {};
}

const std::map<std::string_view, Parser> &parsers() {
    using B = BootParameters;
    static const std::map<std::string_view, Parser> table{
        {protocol::init_parameter, absolute_path(protocol::init_parameter, &B::init)},
        {protocol::root_parameter, text(&B::root)},
        {"rootfstype", text(&B::root_type)},
        {"rootflags", text(&B::root_options)},
        {"ro", flag(&B::root_read_only)},
        {"rw",
         [](B &out, const std::string &) -> Result<> {
             out.root_read_only = false;
             return {};
         }},
        {protocol::reginfo_parameter, absolute_path(protocol::reginfo_parameter, &B::reginfo)},
        {protocol::boot_parameter, text(&B::boot)},
        {"console",
         [](B &out, const std::string &value) -> Result<> {
             out.consoles.push_back(value);
             return {};
         }},
        {protocol::store_parameter,
         one_of(protocol::store_parameter, &B::store_kind,
                {{"9p", StoreKind::nine_p}, {"erofs", StoreKind::erofs}, {"virtiofs", StoreKind::virtiofs}})},
        {protocol::union_parameter, one_of(protocol::union_parameter, &B::store_union,
                                           {{"off", UnionMode::off}, {"tmpfs", UnionMode::tmpfs}, {"disk", UnionMode::disk}})},
        {protocol::union_engine_parameter,
         one_of(protocol::union_engine_parameter, &B::union_engine,
                {{"auto", UnionEngine::automatic}, {"overlay", UnionEngine::overlay}, {"fuse", UnionEngine::fuse}})},
        {protocol::union_options_parameter, parse_union_options},
        {protocol::union_trace_parameter,
         one_of(protocol::union_trace_parameter, &B::union_trace, {{"off", false}, {"paths", true}})},
        {protocol::register_parameter,
         one_of(protocol::register_parameter, &B::registration,
                {{"auto", RegisterMode::automatic}, {"strict", RegisterMode::strict}, {"off", RegisterMode::off}})},
        {protocol::agent_parameter,
         one_of(protocol::agent_parameter, &B::agent,
                {{"on", AgentMode::on}, {"early", AgentMode::early}, {"off", AgentMode::off}, {"only", AgentMode::only}})},
        {protocol::snapshot_parameter,
         one_of(protocol::snapshot_parameter, &B::snapshot,
                {{"before-stage-2", SnapshotPoint::before_stage_2}, {"ready", SnapshotPoint::ready}})},
        {protocol::share_parameter, parse_share},
        {protocol::virtiofs_parameter, parse_virtiofs_tags},
        {protocol::fresh_disk_parameter, text(&B::fresh_disk)},
        {protocol::device_timeout_parameter, parse_timeout},
        {protocol::break_parameter, parse_break},
        {"boot.trace", flag(&B::trace)},
        {"debugtrace", flag(&B::trace)},
        {"boot.shell_on_fail", flag(&B::shell_on_fail)},
        {"boot.panic_on_fail", flag(&B::panic_on_fail)},
        {"stage1panic",
         [](B &out, const std::string &value) -> Result<> {
             out.panic_on_fail = value == "1";
             return {};
         }},
        {"boot.debug1", flag(&B::stop_at_start)},
        {"debug1", flag(&B::stop_at_start)},
        {"boot.debug1devices", flag(&B::stop_at_devices)},
        {"debug1devices", flag(&B::stop_at_devices)},
        {"boot.debug1mounts", flag(&B::stop_at_mounts)},
        {"debug1mounts", flag(&B::stop_at_mounts)},
    };
    return table;
}

}  // namespace

std::string_view name(UnionMode mode) {
    switch (mode) {
    case UnionMode::off: return "off";
    case UnionMode::tmpfs: return "tmpfs";
    case UnionMode::disk: return "disk";
    }
    return "?";
}

std::string_view name(UnionEngine engine) {
    switch (engine) {
    case UnionEngine::automatic: return "auto";
    case UnionEngine::overlay: return "overlay";
    case UnionEngine::fuse: return "fuse";
    }
    return "?";
}

std::vector<std::string_view> own_parameters() {
    std::vector<std::string_view> names;
    for (const auto &[parameter, parser] : parsers())
        if (parameter.starts_with("stage1.")) names.push_back(parameter);
    return names;
}

Result<BootParameters> boot_parameters(const std::vector<Parameter> &parameters) {
    BootParameters out;
    for (const auto &[parameter, value] : parameters) {
        const auto parser = parsers().find(parameter);
        if (parser == parsers().end()) {
            // A typo in one of our parameters would otherwise silently boot something else.
            if (parameter.starts_with("stage1."))
                return fail(0, "kernel parameter", parameter, "stage1 has no parameter of this name; see stage1(8)");
            continue;
        }
        if (auto parsed = parser->second(out, value.value_or("")); !parsed) return std::unexpected(parsed.error());
    }
    if (!out.union_options.empty() && out.union_engine == UnionEngine::overlay)
        return fail(0, "kernel parameter", std::format("{}={}", protocol::union_options_parameter, out.union_options),
                    std::format("these options are unionfs's, but {}=overlay is given", protocol::union_engine_parameter));
    if (out.union_trace && out.union_engine == UnionEngine::overlay)
        return fail(0, "kernel parameter", std::format("{}=paths", protocol::union_trace_parameter),
                    std::format("only unionfs can trace paths, but {}=overlay is given", protocol::union_engine_parameter));
    if (!out.union_options.empty() || out.union_trace) out.union_engine = UnionEngine::fuse;
    return out;
}

}  // namespace mounts
