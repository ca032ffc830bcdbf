#include "hostside/reginfo.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hostside/nixdb/closure.h"
#include "mounts/base/at.h"
#include "mounts/base/log.h"

namespace hostside {

namespace {

struct ReginfoOptions {
    std::vector<std::string> paths;
    std::string database = "/nix/var/nix/db/db.sqlite";
    std::string output;
    mounts::RegistrationFormat format = mounts::RegistrationFormat::dump_db;
};

base::Result<> write_reginfo(const ReginfoOptions &options) {
    std::vector<std::string> roots;
    for (const auto &path : options.paths) {
        auto root = nixdb::store_path(path);
        if (!root) return std::unexpected(root.error());
        roots.push_back(std::move(*root));
    }
    auto infos = nixdb::closure(options.database, roots);
    if (!infos) return std::unexpected(infos.error());
    std::string text;
    for (const auto &info : *infos) print(text, info, options.format);
    return options.output.empty() ? base::write_all(STDOUT_FILENO, text, "standard output")
                                  : base::replace_file(options.output, text);
}

}  // namespace

void add_reginfo_command(CLI::App &app, int &status) {
    auto options = std::make_shared<ReginfoOptions>();
    CLI::App *command = app.add_subcommand("reginfo", "write the registration of store paths and all that they refer to");
    command->add_option("PATH", options->paths, "store paths, or links to them (./result)")->required();
    command->add_option("--database", options->database, "the Nix database, which is only read")->capture_default_str();
    command->add_option("--output,-o", options->output, "a file, replaced atomically (default: standard output)");
    const std::map<std::string, mounts::RegistrationFormat> formats{{"dump-db", mounts::RegistrationFormat::dump_db},
                                                                    {"registration", mounts::RegistrationFormat::registration}};
    command
        ->add_option("--format", options->format,
                     "dump-db: as nix-store --dump-db prints it (default); registration: as nixpkgs' closureInfo does")
        ->transform(CLI::CheckedTransformer(formats));
    command->callback([&status, options] {
        const auto written = write_reginfo(*options);
        if (!written) base::log(written.error());
        status = written ? 0 : 1;
    });
}

}  // namespace hostside
