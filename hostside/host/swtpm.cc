#include "hostside/host/swtpm.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "hostside/base/exists.h"
#include "hostside/base/program_path.h"
#include "hostside/host/run_directory.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view step = "start TPM";
constexpr int wait_us = 20'000, most_waits = 500;  // ten seconds for swtpm to listen

std::vector<std::string> argv_for(const std::string &program, const std::string &state) {
    return {program, "socket", "--tpm2", "--tpmstate", std::format("dir={},mode=0600", state)};
}

Result<base::Child> start(std::vector<std::string> argv, std::vector<int> inherited) {
    return base::start(
        {.argv = std::move(argv), .inherited = std::move(inherited), .capture_output = true, .dies_with_parent = true});
}

// Runs the user's script as the TPM's only client. As in nixpkgs, this happens at each start, after TPM2_Startup.
Result<> provision(const Machine &m, const std::string &program, const std::string &socket) {
    const std::string server = socket + "-setup", control = server + ".ctrl";  // tpm2-tss derives this name from the first
    auto argv = argv_for(program, m.tpm_state);
    argv.insert(argv.end(), {"--server", "type=unixio,path=" + server, "--ctrl", "type=unixio,path=" + control, "--flags",
                             "not-need-init,startup-clear"});
    auto child = start(std::move(argv), {});
    if (!child) return std::unexpected(child.error());
    std::optional<CompanionProcess> tpm(std::in_place, std::move(*child), SIGTERM);
    for (int i = 0; i < most_waits && (!exists(server) || !exists(control)); ++i) (void)::usleep(wait_us);
    std::vector<std::string> environment;
    for (char **variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
    environment.push_back("TPM2TOOLS_TCTI=swtpm:path=" + server);
    environment.push_back("TCTI=swtpm:path=" + server);
    // Standard output may belong to a command in the guest.
    auto exit = base::run({.argv = {"/bin/sh", "-c", "exec >&2\n" + m.tpm_provisioning}, .environment = environment});
    tpm.reset();
    for (const auto &path : {server, control}) (void)::unlink(path.c_str());
    if (!exit) return std::unexpected(exit.error());
    return exit->status == 0
               ? Result<>()
               : fail(0, "provision TPM", m.tpm_state, std::format("the command ended with status {}", exit->status));
}

Result<> check_places(const Machine &m, const std::string &socket) {
    if ((m.tpm_state + socket).contains(','))
        return fail(0, step, m.tpm_state, "swtpm's options can't hold a comma; choose another place");
    return {};
}

}  // namespace

Result<std::string> find_swtpm(const Machine &m) {
    if (m.swtpm.contains('/')) {
        if (::access(m.swtpm.c_str(), X_OK) == 0) return m.swtpm;
        return fail(errno, step, m.swtpm, "name another with --tpm-program");
    }
    if (const auto found = programs_named(m.swtpm); !found.empty()) return found.front();
    return fail(0, step, m.swtpm, "it is not in PATH; install it (Debian: swtpm), or name it with --tpm-program");
}

Result<CompanionProcess> start_swtpm(const Machine &m, const std::string &socket) {
    auto program = find_swtpm(m);
    if (!program) return std::unexpected(program.error());
    if (auto good = check_places(m, socket); !good) return std::unexpected(good.error());
    const fs::path state(m.tpm_state);
    auto directory = own_directory(state.parent_path(), state.filename());
    if (!directory) return std::unexpected(directory.error());
    if (!m.tpm_provisioning.empty())
        if (auto done = provision(m, *program, socket); !done) return std::unexpected(done.error());
    auto listening = listen_blocking(socket);
    if (!listening) return std::unexpected(listening.error());
    auto argv = argv_for(*program, *directory);
    argv.insert(argv.end(), {"--ctrl", std::format("type=unixio,fd={}", listening->get())});
    auto child = start(std::move(argv), {listening->get()});
    if (!child) return std::unexpected(child.error());
    return CompanionProcess(std::move(*child), SIGTERM);
}

Result<std::vector<std::string>> swtpm_daemon(const Machine &m, const std::string &socket) {
    if (!m.tpm_provisioning.empty())
        return fail(0, "print", "", "runvm itself provisions a TPM, as its first client; print without --tpm-provisioning");
    auto program = find_swtpm(m);
    if (!program) return std::unexpected(program.error());
    if (auto good = check_places(m, socket); !good) return std::unexpected(good.error());
    auto argv = argv_for(*program, m.tpm_state);
    argv.insert(argv.end(), {"--ctrl", "type=unixio,path=" + socket, "--terminate", "--daemon"});
    return argv;
}

}  // namespace hostside
