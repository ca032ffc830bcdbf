#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <print>

#include "unionfs/command.h"
#include "unionfs/diff.h"

namespace unionfs {

namespace {

const char *word(Change change) {
    switch (change) {
    case Change::added: return "added";
    case Change::modified: return "modified";
    case Change::deleted: return "deleted";
    }
    return "";
}

void print_json(const std::vector<Difference> &differences) {
    nlohmann::json list = nlohmann::json::array();
    for (const Difference &difference : differences) {
        nlohmann::json item{{"change", word(difference.change)}, {"path", difference.path}};
        if (difference.change != Change::deleted) item.update({{"mode", difference.mode}, {"size", difference.size_bytes}});
        list.push_back(std::move(item));
    }
    // A name need not be UTF-8; what isn't is shown as U+FFFD.
    std::println("{}", list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

int diff_main(int argc, char **argv) {
    CLI::App app{"What the upper of a union changed.", "stage1 union diff"};
    std::string upper;
    std::vector<std::string> lowers;
    bool json = false;
    app.add_flag("--json", json, "a list of objects: change, path, mode, size");
    app.add_option("UPPER", upper, "the folder that takes the changes")->required();
    app.add_option("LOWER", lowers, "the read-only folders, the topmost first")->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    auto found = differences(upper, lowers);
    if (!found) {
        std::println(stderr, "stage1 union diff: {}", base::message(found.error()));
        return 1;
    }
    if (json) {
        print_json(*found);
        return 0;
    }
    for (const Difference &difference : *found) std::println("{:<9}{}", word(difference.change), difference.path);
    return 0;
}

}  // namespace unionfs
