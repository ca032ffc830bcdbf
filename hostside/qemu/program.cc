#include "hostside/qemu/program.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/base/program_path.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr int oldest_qemu = 6;  // 4.2 has multidevs=remap; mapped files over it are stable from 6.0 on

bool executable(const std::string &path) { return ::access(path.c_str(), X_OK) == 0; }

constexpr std::string_view before_version = " version ";

// Parses the cached form, `10 sandbox user version 10.0.2 (Debian …)`.
Abilities remembered(const std::string &text) {
    Abilities a;
    (void)std::from_chars(text.data(), text.data() + text.size(), a.major);
    if (const size_t at = text.find(before_version); at != std::string::npos) a.version = text.substr(at + before_version.size());
    a.sandbox = text.contains(" sandbox");
    a.run_with_user = text.contains(" user");
    return a;
}

Result<Abilities> ask(const std::string &qemu) {
    auto version = base::run({.argv = {qemu, "--version"}, .capture_output = true});
    if (!version) return std::unexpected(version.error());
    constexpr std::string_view before = "version ";
    const size_t at = version->output.find(before);
    Abilities a;
    if (at != std::string::npos) {
        const char *digits = version->output.data() + at + before.size();
        (void)std::from_chars(digits, version->output.data() + version->output.size(), a.major);
        a.version = printable(version->output.substr(at + before.size(), version->output.find('\n', at) - at - before.size()));
    }
    if (version->status != 0 || a.major == 0)
        return fail(0, "ask version of", qemu,
                    std::format("it printed no version, but: {}; is it a QEMU? Name another with --qemu",
                                version->output.substr(0, version->output.find('\n'))));
    auto sandbox = base::run({.argv = {qemu, "-sandbox", "on", "-machine", "help"}, .capture_output = true});
    a.sandbox = sandbox && sandbox->status == 0;
    auto help = base::run({.argv = {qemu, "-help"}, .capture_output = true});
    a.run_with_user = help && help->output.contains("[user=username|uid:gid]");
    return a;
}

}  // namespace

Result<std::string> find_qemu(const std::string &name) {
    if (name.contains('/')) {
        if (executable(name)) return name;
        return fail(errno, "find QEMU", name, "name another with --qemu");
    }
    if (const auto found = programs_named(name); !found.empty()) return found.front();
    return fail(0, "find QEMU", name,
                "it is not in PATH; install it (Debian: qemu-system-x86, NixOS: qemu), or name it with --qemu");
}

Result<std::string> find_qemu_img(const std::string &qemu) {
    std::string beside = qemu.substr(0, qemu.rfind('/') + 1) + "qemu-img";
    if (executable(beside)) return beside;
    if (const auto found = programs_named("qemu-img"); !found.empty()) return found.front();
    return fail(0, "find", "qemu-img",
                std::format("it is neither beside {} nor in PATH; install it (Debian: qemu-utils, NixOS: qemu)", qemu));
}

Result<Abilities> abilities_of(const std::string &qemu, std::vector<Remembered> &learned) {
    const std::string path = cache_path("qemu-facts-" + short_hash(file_identity(qemu)));
    Abilities a;
    if (auto known = cached(path)) a = remembered(*known);
    if (a.major == 0) {
        auto asked = ask(qemu);
        if (!asked) return asked;
        a = *asked;
        learned.push_back({path, std::format("{}{}{}{}{}", a.major, a.sandbox ? " sandbox" : "", a.run_with_user ? " user" : "",
                                             before_version, a.version)});
    }
    if (a.major < oldest_qemu)
        return fail(
            0, "use QEMU", qemu,
            std::format("version {} is too old, and {} or newer is needed; name a newer one with --qemu", a.major, oldest_qemu));
    return a;
}

}  // namespace hostside
