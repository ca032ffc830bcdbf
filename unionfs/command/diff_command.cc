#include <cstdio>
#include <print>
#include <string_view>

#include "mounts/base/json_text.h"
#include "unionfs/command/apply.h"
#include "unionfs/command/command.h"
#include "unionfs/command/diff.h"

namespace unionfs {

namespace {

constexpr const char *usage =
    "usage: stage1 union diff [--json] UPPER LOWER…\n"
    "Lists what the upper of a union changed against its lowers. Give the topmost lower first.\n"
    "  --json   print a list of objects: change, path, mode, size, and from (for a moved directory)\n";

const char *word(Change change) {
    switch (change) {
    case Change::added: return "added";
    case Change::modified: return "modified";
    case Change::moved: return "moved";
    case Change::deleted: return "deleted";
    }
    return "";
}

// Puts any name on one line: escapes control characters and the backslash as in /proc/mounts.
std::string escaped(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f && c != '\\')
            out += c;
        else
            for (const int shift : {-1, 6, 3, 0}) out += shift < 0 ? '\\' : static_cast<char>('0' + (byte >> shift & 7));
    }
    return out;
}

void print_json(const std::vector<Difference> &differences) {
    std::string text = "[";
    for (const Difference &difference : differences) {
        if (text.size() > 1) text += ',';
        text +=
            "\n  {\"change\": " + base::json_text(word(difference.change)) + ", \"path\": " + base::json_text(difference.path);
        if (difference.change != Change::deleted)
            text += ", \"mode\": " + std::to_string(difference.mode) + ", \"size\": " + std::to_string(difference.size_bytes);
        if (difference.change == Change::moved) text += ", \"from\": " + base::json_text(difference.from);
        text += '}';
    }
    std::println("{}\n]", text);
}

}  // namespace

int diff_main(int argc, char **argv) {
    std::vector<std::string> directories;
    bool json = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument(argv[i]);
        if (argument == "--json")
            json = true;
        else if (argument == "-h" || argument == "--help")
            return std::fputs(usage, stdout) < 0 ? 1 : 0;
        else
            directories.emplace_back(argument);
    }
    if (directories.size() < 2 || directories.front().starts_with('-')) return std::fputs(usage, stderr) < 0 ? 1 : 2;
    auto found = differences(directories.front(), {directories.begin() + 1, directories.end()});
    if (!found) {
        std::println(stderr, "stage1 union diff: {}", base::message(found.error()));
        return 1;
    }
    if (json) {
        print_json(*found);
        return 0;
    }
    for (const Difference &difference : *found)
        std::println("{:<9}{}{}", word(difference.change), difference.from.empty() ? "" : escaped(difference.from) + " -> ",
                     escaped(difference.path));
    return 0;
}

int apply_main(int argc, char **argv) {
    constexpr const char *apply_usage =
        "usage: stage1 union apply UPPER DIR\n"
        "Applies what the upper of a union changed to DIR, a copy of the lower or the lower itself: DIR is then what the union\n"
        "shows. UPPER stays as it is. After an interruption, run it again.\n";
    const std::string_view first = argc > 1 ? argv[1] : "";
    if (first == "-h" || first == "--help") return std::fputs(apply_usage, stdout) < 0 ? 1 : 0;
    if (argc != 3 || first.starts_with('-')) return std::fputs(apply_usage, stderr) < 0 ? 1 : 2;
    const auto applied = apply_upper(argv[1], argv[2]);
    if (!applied) {
        std::println(stderr, "stage1 union apply: {}", base::message(applied.error()));
        return 1;
    }
    std::println("{}{} made or merged, {} removed", applied->resumed ? "completed an interrupted run: " : "", applied->objects,
                 applied->removed);
    return 0;
}

}  // namespace unionfs
