#include "stage1/base/load_db.h"

#include <fcntl.h>

#include <format>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/base/regular_file.h"

namespace stage1 {

base::Result<std::string> load_db(const LoadDbRequest &request) {
    auto root = base::open_at(AT_FDCWD, request.target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    auto text = base::open_regular_in_root(root->get(), request.reginfo);
    if (!text) {
        auto error = text.error();
        error.step = "register";
        error.hint = "the closure's registration, named by regInfo=";
        return std::unexpected(std::move(error));
    }
    for (const char *place : {"/sw/bin/nix-store", "/bin/nix-store"}) {
        const std::string program = request.system + place;
        if (!base::open_in_root(root->get(), program, O_PATH)) continue;
        // Nix needs a user name, and a new root has no /etc/passwd, so set USER.
        const auto exit = base::run({.argv = {program, "--load-db"},
                                     .environment = {{"NIX_REMOTE=", "HOME=/root", "USER=root", "NIX_CONF_DIR=/nonexistent",
                                                      "PATH=" + request.system + "/sw/bin"}},
                                     .root = request.target_root,
                                     .standard_input = text->get(),
                                     .capture_output = true});
        if (!exit) return std::unexpected(exit.error());
        if (exit->status != 0)
            return base::fail(0, "register", request.reginfo,
                              std::format("{} --load-db ended with {}: {}", program, exit->status, exit->output));
        return std::format("register: {} loaded by {}", request.reginfo, program);
    }
    return base::fail(ENOENT, "register", request.system, "the closure has no sw/bin/nix-store to load the registration with");
}

}  // namespace stage1
