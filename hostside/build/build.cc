#include "hostside/build/build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <functional>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/build/fetch.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/regular_file.h"
#include "mounts/nix/nix_hash.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using mounts::exec::End;
using Tell = std::function<void(const std::string &)>;

std::string output_paths(const Derivation &derivation) {
    std::string paths;
    for (const auto &output : derivation.outputs) paths += (paths.empty() ? "" : " ") + output.path;
    return paths;
}

Result<> put_files(const ExecWish &machine, const BuildWish &wish, const std::string &place) {
    for (const auto &file : wish.derivation.files) {
        auto input = base::open_regular(AT_FDCWD, file.from, O_RDONLY);
        if (!input) return std::unexpected(input.error());
        ExecWish put{.machine = machine.machine, .run_directory = machine.run_directory};
        put.request = {.user = wish.user, .task = std::format("put 644 {}/{}", place, file.name), .builder = true};
        put.streams.input = input->get();
        put.streams.errors = STDERR_FILENO;
        const auto end = run_in_guest(put);
        if (!end) return std::unexpected(end.error());
        if (end->kind != End::exited || end->code != 0) return fail(0, "copy into the guest", file.from, end->text);
    }
    return {};
}

Result<End> run_builder(const ExecWish &machine, const BuildWish &wish, const std::string &place) {
    ExecWish builder{.machine = machine.machine, .run_directory = machine.run_directory};
    builder.request = {.argv = wish.builder,
                       .environment = builder_environment(wish.derivation, place, wish.cores),
                       .directory = place,
                       .user = wish.user,
                       .builder = true};
    // As in Nix, all output of a builder is a log, on either stream.
    builder.streams.output = builder.streams.errors = STDERR_FILENO;
    builder.streams.log = wish.log;
    return run_in_guest(builder);
}

// False: the builder succeeded but an output is missing.
Result<bool> bring_outputs(const ExecWish &machine, const BuildWish &wish, const Tell &tell, std::vector<std::string> &brought) {
    Allowance allowance(wish.most_bytes);
    for (size_t i = 0; i < wish.places.size(); ++i) {
        const auto &output = wish.derivation.outputs[i];
        const auto hash = fetch_tree(machine, output.path, wish.places[i], false, allowance);
        if (!hash && hash.error().code == ENOENT && wish.made_here && ::access(wish.places[i].c_str(), F_OK) == 0) continue;
        if (!hash && hash.error().code == ENOENT) {
            tell(std::format("the builder succeeded, but did not make the output {}, {}", output.name, output.path));
            return false;
        }
        if (!hash) return std::unexpected(hash.error());
        brought.push_back(wish.places[i]);
        tell(std::format("{}: {} bytes, NAR hash sha256:{}, in {}", output.name, hash->size_bytes, mounts::nix32(hash->hash),
                         wish.places[i]));
    }
    return true;
}

// Keeps the files of a failed build. Best effort, because the failure itself is what matters.
void keep_failed(const ExecWish &machine, const BuildWish &wish, const std::string &place, const Tell &tell) {
    if (wish.failed_place.empty()) return;
    if (::mkdir(wish.failed_place.c_str(), 0777) < 0)
        return tell(base::message({"mkdir", wish.failed_place, errno, "the failed build is not kept"}));
    Allowance allowance(wish.most_bytes);
    const auto keep = [&](const std::string &path, const std::string &name) {
        const auto kept = fetch_tree(machine, path, wish.failed_place + "/" + name, true, allowance);
        if (!kept && kept.error().code != ENOENT) tell(base::message(kept.error()));
    };
    keep(place, "build");
    for (const auto &output : wish.derivation.outputs) keep(output.path, output.name);
    tell("the failed build is kept in " + wish.failed_place);
}

}  // namespace

Result<int> build_in_guest(const ExecWish &machine, const BuildWish &wish, const Tell &tell) {
    const std::string user = wish.user.empty() ? "-" : wish.user;
    const auto place = run_task(machine, std::format("build-begin {} {}", user, output_paths(wish.derivation)));
    if (!place) return std::unexpected(place.error());
    // Later tasks contain this path.
    if (!place->starts_with('/') || *place != printable(*place))
        return fail(0, "begin build", "", "the guest's answer is not a path");
    if (auto put = put_files(machine, wish, *place); !put) return std::unexpected(put.error());
    const auto end = run_builder(machine, wish, *place);
    if (!end) return std::unexpected(end.error());
    const auto full = run_task(machine, std::format("build-end {} {}", user, *place));
    if (!full) return std::unexpected(full.error());
    if (end->kind == End::failed) tell(end->text);
    const int status = end->kind == End::signalled ? signal_base + end->code : end->code;
    if (status == 0) {
        std::vector<std::string> brought;
        const auto all = bring_outputs(machine, wish, tell, brought);
        if (all && *all) return 0;
        // All outputs or none.
        for (const auto &output : brought) (void)remove_guest_directory(output);
        if (!all) return std::unexpected(all.error());
    } else {
        tell(end->kind == End::signalled ? std::format("signal {} ended the builder", end->code)
                                         : std::format("the builder failed with status {}", status));
        if (!full->empty())
            tell(std::format("the guest's {} is almost full: raise --disk-size, or --memory for a tmpfs", printable(*full)));
    }
    keep_failed(machine, wish, *place, tell);
    return status == 0 ? 1 : status;
}

}  // namespace hostside
