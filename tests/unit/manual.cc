// Compares the manual pages with the tables in the code. GOLDEN=write in the environment rewrites the list of keys in
// runvm.json(5).

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <format>

#include "hostside/base/exit_code.h"
#include "hostside/description/description.h"
#include "hostside/description/option.h"
#include "mounts/base/at.h"

namespace {

using hostside::Kind;
using hostside::Option;

// roff(7): escapes hyphens and backslashes that are meant literally.
std::string roff(std::string_view text) {
    std::string result;
    for (const char c : text) result += c == '-' ? "\\-" : c == '\\' ? "\\e" : std::string(1, c);
    return result;
}

std::string type_of(const Option &option) {
    std::string range;
    if (option.most > 0) range = std::format(", {} to {}", option.least, option.most);
    std::string choices;
    for (const auto choice : option.choices)
        if (!choice.empty()) choices.append(choices.empty() ? ": " : ", ").append(choice);
    switch (option.kind) {
    case Kind::text: return "string" + choices;
    case Kind::boolean: return "boolean";
    case Kind::integer: return "integer" + range;
    case Kind::texts: return option.shell_words ? "list of shell words" : "list of strings";
    case Kind::integers: return "list of integers" + range;
    case Kind::group: return "object";
    case Kind::objects:
        return option.named_by.empty() ? "list of objects" : std::format("list of objects, or object by {}", option.named_by);
    }
    return "";
}

std::string sentence(std::string text) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text + ".";
}

void write_keys(std::string &page, const std::vector<Option> &options, const std::string &prefix) {
    for (const auto &option : options) {
        const std::string path = prefix + std::string(option.name);
        const bool worth_saying = !option.fallback.empty() && option.fallback != "\"\"" && option.fallback != "[]" &&
                                  option.fallback != "false" && option.fallback != "0";
        page += std::format(".TP\n.BR \"{}\" \" ({}{})\"\n{}\n", roff(path), roff(type_of(option)),
                            option.required ? ", required" : "", roff(sentence(std::string(option.help))));
        if (!option.also.empty()) page += std::format("Also called {}.\n", option.also);
        if (worth_saying) page += std::format("Default: {}.\n", roff(option.fallback));
        write_keys(page, option.fields, path + (option.kind == Kind::objects ? "[]." : "."));
    }
}

std::string page_of(const std::string &path) {
    const auto text = base::read_file(path);
    REQUIRE(text);
    return *text;
}

}  // namespace

TEST_CASE("runvm.json(5) lists each option as the table has it") {
    const std::string path = "hostside/man/runvm.json.5";
    std::string page = page_of(path);
    const size_t begin = page.find(".SH KEYS\n");
    const size_t end = page.find(".SH ", begin + 1);
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    std::string keys = ".SH KEYS\n";
    for (const auto &subject : hostside::subjects()) {
        keys += std::format(".SS {}\n", subject.title);
        write_keys(keys, subject.options, "");
    }
    if (const char *mode = std::getenv("GOLDEN"); mode != nullptr && std::string_view(mode) == "write") {
        REQUIRE(base::replace_file(path, page.substr(0, begin) + keys + page.substr(end)));
        page = page_of(path);
    }
    CHECK(page.substr(begin, page.find(".SH ", begin + 1) - begin) == keys);
}

TEST_CASE("runvm(1) tells every exit status and no other") {
    std::string page = page_of("hostside/man/runvm.1");
    page = page.substr(page.find(".SH EXIT STATUS"));
    page = page.substr(0, page.find(".SH ", 1));
    INFO(page);
    for (const auto &[code, meaning] : hostside::exit_meanings) {
        const std::string begins = roff(sentence(std::string(meaning)));  // the page may say more
        CHECK_THAT(page, Catch::Matchers::ContainsSubstring(
                             std::format(".TP\n{}\n{}", static_cast<int>(code), begins.substr(0, begins.size() - 1))));
    }
    size_t paragraphs = 0;
    for (size_t at = page.find(".TP\n"); at != std::string::npos; at = page.find(".TP\n", at + 1)) ++paragraphs;
    CHECK(paragraphs == hostside::exit_meanings.size() + 2);  // the guest's own, and signals
}
