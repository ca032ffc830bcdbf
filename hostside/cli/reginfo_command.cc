#include "hostside/cli/reginfo_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "hostside/cli/reporter.h"
#include "hostside/nix/closure.h"
#include "hostside/nix/graph.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

struct ReginfoOptions {
    std::vector<std::string> paths, graphs;
    std::string database = "/nix/var/nix/db/db.sqlite";
    std::string output, root;
    std::string format = "dump-db";
    bool hash = false;
};

base::Result<std::vector<mounts::PathInfo>> from_database(const ReginfoOptions &options) {
    std::vector<std::string> roots;
    for (const auto &path : options.paths) {
        auto root = nixdb::store_path(path);
        if (!root) return std::unexpected(root.error());
        roots.push_back(std::move(*root));
    }
    return nixdb::closure(options.database, roots);
}

// Without --hash, hashes and sizes are zeros ("not known"), as 2013's pathsFromGraph printed them.
base::Result<std::vector<mounts::PathInfo>> from_graphs(const ReginfoOptions &options) {
    nixdb::Paths paths;
    for (const auto &name : options.graphs) {
        const auto text = base::read_file(name);
        if (!text) return std::unexpected(text.error());
        if (auto read = nixdb::read_graph(*text, name, paths); !read) return std::unexpected(read.error());
    }
    if (options.hash)
        if (auto hashed = nixdb::hash_paths(paths, options.root); !hashed) return std::unexpected(hashed.error());
    return nixdb::topological_order(std::move(paths));
}

base::Result<> write_reginfo(const ReginfoOptions &options) {
    if (options.paths.empty() && options.graphs.empty())
        return base::fail(0, "reginfo", "", "no store paths given; name some, or a graph with --graph");
    const auto infos = options.graphs.empty() ? from_database(options) : from_graphs(options);
    if (!infos) return std::unexpected(infos.error());
    std::string text;
    for (const auto &info : *infos) {
        if (options.format == "paths")
            text += info.path + "\n";
        else
            print(text, info,
                  options.format == "dump-db" ? mounts::RegistrationFormat::dump_db : mounts::RegistrationFormat::registration);
    }
    return options.output.empty() ? base::write_all(STDOUT_FILENO, text, "standard output")
                                  : base::replace_file(options.output, text);
}

}  // namespace

void add_reginfo_command(CLI::App &app, int &status) {
    auto options = std::make_shared<ReginfoOptions>();
    CLI::App *command = app.add_subcommand("reginfo", "write the registration of store paths and of their closures");
    auto *paths = command->add_option("PATH", options->paths, "store paths, or links to them (./result)");
    auto *database = command->add_option("--database", options->database, "the Nix database, which is only read")
                         ->type_name("FILE")
                         ->capture_default_str();
    auto *graphs =
        command->add_option("--graph", options->graphs, "instead, a file that exportReferencesGraph wrote; may be repeated")
            ->type_name("FILE");
    graphs->excludes(paths)->excludes(database)->type_size(1)->allow_extra_args(false);
    auto *hash = command->add_flag("--hash", options->hash, "compute hashes and sizes, which a graph lacks, from the files");
    hash->needs(graphs);
    command->add_option("--root", options->root, "where the graph's /nix/store is, for --hash (default: /)")
        ->type_name("DIR")
        ->needs(hash);
    command->add_option("--output,-o", options->output, "the file to write, replaced atomically (default: standard output)")
        ->type_name("FILE");
    command
        ->add_option("--format", options->format,
                     "dump-db: as nix-store --dump-db prints it (default); registration: as nixpkgs' closureInfo does; "
                     "paths: only the store paths, references first")
        ->type_name("dump-db|registration|paths")
        ->check(CLI::IsMember({"dump-db", "registration", "paths"}).description(""));
    command->callback([&status, options] {
        const auto written = write_reginfo(*options);
        if (!written) say(base::message(written.error()));
        status = written ? 0 : 1;
    });
}

}  // namespace hostside
