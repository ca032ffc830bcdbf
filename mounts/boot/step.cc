#include "mounts/boot/step.h"

#include <format>

#include "mounts/boot/source.h"

namespace mounts {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

std::string names_of(const std::vector<NeededModule> &modules) {
    std::string text;
    for (const auto &module : modules) text += (text.empty() ? "" : " ") + module.name;
    return text;
}

}  // namespace

std::string describe(const Step &step) {
    return std::visit(
        Overloaded{
            [](const LoadModules &s) { return std::format("load modules {} for the file systems", names_of(s.modules)); },
            [](const WaitForDevice &s) { return std::format("wait for {} at most {} s", s.spec, s.timeout_s); },
            [](const PrepareDisk &s) {
                const std::string unless = s.content.empty() ? "" : std::format(" as {}, unless a device has that", s.content);
                return std::format("format {} as ext4 if it is proven empty{}, else keep it", s.spec, unless);
            },
            [](const CheckFileSystem &s) { return std::format("check {} ({}) if the initrd has its fsck", s.spec, s.type); },
            [](const PassOver &s) { return s.text; },
            [](const MakeBindPlaces &s) { return std::format("make {} and, of the same kind, {}", s.source, s.target); },
            [](const Mount &s) {
                const bool one_device = device_sources(s.source, s.type, s.options).size() == 1;
                return std::format("mount -t {} -o {} {} {}{}{}", s.type, s.options.empty() ? "defaults" : s.options, s.source,
                                   s.target, one_device ? " (as what the device holds, if that is another type)" : "",
                                   s.optional ? " (optional)" : "");
            },
            [](const MountUnion &s) {
                return std::format("union ({}{}{}) lower {} upper {} work {} at {}{}", name(s.engine),
                                   s.options.empty() ? "" : ": ", s.options, s.lower, s.upper, s.work, s.target,
                                   s.trace.empty() ? "" : ", tracing used paths to " + s.trace);
            },
            [](const MakeDirectory &s) { return std::format("mkdir -p {} mode {:04o}", s.path, s.mode); },
            [](const MarkFile &s) { return std::format("touch {}", s.path); },
            [](const KeepVisible &s) { return std::format("keep tmp.mount of systemd from hiding {}", s.place); },
            [](const GrowFileSystem &s) { return std::format("grow the file system on {} to its device", s.target); },
            [](const RegisterClosure &s) {
                return std::format("register {} in {}", s.reginfo.empty() ? "the closure, if a registration is found" : s.reginfo,
                                   s.target_root);
            },
            [](const RegisterNewPaths &s) {
                return std::format("register in {} what came since the machine was saved", s.target_root);
            },
            [](const CheckInit &s) { return std::format("find {} in {}", s.init, s.target_root); },
            [](const WaitForFork &) { return std::string("stop here to be saved; a fork goes on"); },
            [](const SwitchRoot &s) {
                std::string late;
                for (const auto &mount : s.late) late += (late.empty() ? "; later, in a fork, " : " ") + mount.target;
                return std::format("switch_root {} {}{}", s.target_root, s.agent == AgentMode::only ? "to the agent" : s.init,
                                   late);
            },
        },
        step);
}

std::string_view kind(const Step &step) {
    return std::visit(Overloaded{
                          [](const LoadModules &) { return "modules"; },
                          [](const WaitForDevice &) { return "wait"; },
                          [](const PrepareDisk &) { return "format"; },
                          [](const CheckFileSystem &) { return "fsck"; },
                          [](const PassOver &) { return "fstab"; },
                          [](const MakeBindPlaces &) { return "mkdir"; },
                          [](const Mount &) { return "mount"; },
                          [](const MountUnion &) { return "union"; },
                          [](const MakeDirectory &) { return "mkdir"; },
                          [](const MarkFile &) { return "mark"; },
                          [](const KeepVisible &) { return "keep"; },
                          [](const GrowFileSystem &) { return "grow"; },
                          [](const RegisterClosure &) { return "register"; },
                          [](const RegisterNewPaths &) { return "new-paths"; },
                          [](const CheckInit &) { return "init"; },
                          [](const WaitForFork &) { return "fork"; },
                          [](const SwitchRoot &) { return "switch_root"; },
                      },
                      step);
}

}  // namespace mounts
