#include "hostside/builder/live_registration.h"

#include <sys/file.h>

#include <charconv>
#include <format>
#include <sstream>
#include <utility>

#include "hostside/exec/guest_task.h"
#include "hostside/nix/valid_paths.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Result;
using nixdb::ValidPaths;

constexpr size_t known_limit_bytes = size_t{256} << 20;
constexpr const char *reginfo_there = "/run/stage1-live-registration", *forget_there = "/run/stage1-live-forget";

// The paths that the guest knows in this boot; a new boot starts with none.
ValidPaths known_to_guest(const std::string &file, const std::string &boot) {
    ValidPaths known;
    std::istringstream lines(base::read_file(file, known_limit_bytes).value_or(""));
    std::string line;
    if (!std::getline(lines, line) || line != boot) return known;
    while (std::getline(lines, line)) {
        int64_t id = 0;
        const size_t blank = line.find(' ');
        if (blank == std::string::npos) continue;
        (void)std::from_chars(line.data(), line.data() + blank, id);
        known.emplace(id, line.substr(blank + 1));
    }
    return known;
}

std::string text_of_known(const ValidPaths &known, const std::string &boot) {
    std::string text = boot + "\n";
    for (const auto &[id, path] : known) text += std::format("{} {}\n", id, path);
    return text;
}

// Paths that the guest believes to be valid but that the host no longer has.
std::string gone_paths(const ValidPaths &known, const ValidPaths &now) {
    std::string text;
    for (const auto &[id, path] : known)
        if (!now.contains(id)) text += path + "\n";
    return text;
}

}  // namespace

std::string database_of(const std::string &store) { return store.substr(0, store.rfind('/')) + "/var/nix/db/db.sqlite"; }

Result<> tell_of_new_paths(const ExecWish &machine, const Builder &builder, const BuilderPlace &place, const std::string &boot) {
    auto held = place.lock("registering", LOCK_EX);
    if (!held) return std::unexpected(held.error());
    const std::string file = place.at("registered");
    const ValidPaths known = known_to_guest(file, boot);
    const auto now = nixdb::snapshot(database_of(builder.store), known);
    if (!now) return std::unexpected(now.error());
    const std::string gone = gone_paths(known, now->paths);
    if (now->registration.empty() && gone.empty()) return {};
    // /proc/self/exe is the agent's own program until exec.
    ExecWish load{.machine = machine.machine, .run_directory = machine.run_directory, .patience_s = machine.patience_s};
    load.request.argv = {"/proc/self/exe", "register", "--target-root", "/", "--live", "--reginfo", reginfo_there};
    if (!gone.empty()) load.request.argv.insert(load.request.argv.end(), {"--forget", forget_there});
    return put_text(machine, now->registration, reginfo_there)
        .and_then([&] { return gone.empty() ? Result<>{} : put_text(machine, gone, forget_there); })
        .and_then([&] { return run_to_success(std::move(load), "register", machine.machine); })
        .and_then([&] { return base::replace_file(file, text_of_known(now->paths, boot), 0600); });
}

}  // namespace hostside
