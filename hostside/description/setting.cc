#include <algorithm>
#include <cctype>
#include <charconv>
#include <format>

#include "hostside/description/description.h"
#include "hostside/description/json.h"
#include "hostside/description/option.h"
#include "hostside/description/parse.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

// memorySize → --memory-size.
std::string flag_of(const Option &option) {
    if (!option.flag.empty()) return std::string(option.flag);
    std::string flag = "--";
    for (const char c : option.name) {
        const auto letter = static_cast<unsigned char>(c);
        if (std::isupper(letter) != 0) flag += '-';
        flag += static_cast<char>(std::tolower(letter));
    }
    if (option.name == "pathsInNixDB") flag = "--paths-in-nix-db";
    return flag;
}

std::string value_of(const Option &option) {
    if (!option.shorthand_form.empty()) return std::string(option.shorthand_form);
    if (!option.value.empty()) return std::string(option.value);
    if (option.kind == Kind::boolean) return "BOOL";
    std::string choices;
    for (const auto choice : option.choices) choices.append(choices.empty() ? "" : "|").append(choice);
    return choices.empty() ? "TEXT" : choices;
}

std::string shown_default(const Option &option) {
    std::string_view text = option.fallback;
    if (option.kind == Kind::text && text.size() >= 2) text = text.substr(1, text.size() - 2);
    const bool shown = option.kind == Kind::boolean || option.kind == Kind::text || (option.kind == Kind::integer && text != "0");
    return shown ? std::string(text) : "";
}

void add_keys(std::vector<Key> &keys, const std::vector<Option> &options, const std::string &prefix, std::string_view subject) {
    for (const auto &option : options) {
        const std::string path = prefix + std::string(option.name);
        if (option.kind == Kind::group && option.shorthand == nullptr) {
            add_keys(keys, option.fields, path + ".", subject);
            continue;
        }
        Key key{.path = path,
                .flag = flag_of(option),
                .more_flags = std::string(option.flags),
                .help = std::string(option.help),
                .subject = std::string(subject),
                .value = value_of(option),
                .fallback = shown_default(option),
                .boolean = option.kind == Kind::boolean,
                .alone = std::string(option.flag_alone)};
        for (const auto choice : option.choices)
            if (!choice.empty()) key.choices.emplace_back(choice);
        keys.push_back(std::move(key));
    }
}

const Option *find_option(std::string_view path) {
    const std::vector<Option> *fields = &options();
    for (;;) {
        const size_t dot = path.find('.');
        const auto option = std::ranges::find(*fields, path.substr(0, dot), &Option::name);
        if (option == fields->end()) return nullptr;
        if (dot == std::string_view::npos) return &*option;
        fields = &option->fields;
        path.remove_prefix(dot + 1);
    }
}

bool is_utf8(const std::string &text) {
    try {
        (void)Json(text).dump();
        return true;
    } catch (const Json::type_error &) {
        return false;
    }
}

// Converts `2G` and `512M` to MiB, with QEMU's meaning of the letters. Returns other text unchanged.
std::string in_mib(const std::string &text) {
    constexpr long long largest = 1 << 24;  // 16 TiB; larger numbers stay unchanged and are refused later
    long long number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, text.data() + text.size());
    if (error != std::errc{} || number < 0 || number > largest) return text;
    if (unit == "M" || unit == "MiB") return std::to_string(number);
    if (unit == "G" || unit == "GiB") return std::to_string(number << 10);
    return text;
}

// `[::1]:8080:80` begins with an IPv6 address and is not a JSON list.
bool begins_with_address(std::string_view text) {
    const size_t end = text.find_first_not_of("0123456789abcdefABCDEF:.", 1);
    return text.starts_with('[') && end != std::string_view::npos && text.substr(end).starts_with("]:");
}

Result<Json> value_from(const Option &option, const std::string &text, const std::string &origin) {
    if (option.kind == Kind::text) return Json(text);
    if (option.kind == Kind::texts) return Json::array({text});
    if (option.kind == Kind::boolean && (text == "on" || text == "yes")) return Json(true);
    if (option.kind == Kind::boolean && (text == "off" || text == "no")) return Json(false);
    std::string json = text;
    if (option.value == "MIB") json = in_mib(text);
    if (option.shorthand != nullptr && !text.starts_with('{') && (!text.starts_with('[') || begins_with_address(text))) {
        auto shorthand = option.shorthand(text);
        if (!shorthand) return fail(0, origin, "", shorthand.error().hint);
        json = std::move(*shorthand);
    }
    if (!Json::accept(json))
        return fail(0, origin, "",
                    std::format("must be {}{}, not {}", kind_name(option.kind),
                                option.value == "MIB" ? " of MiB, or have a unit, as in 512M or 2G" : "", abridged(text)));
    return parse(json, origin);
}

}  // namespace

base::Result<Layer> setting(std::string_view path, const std::string &text, std::string origin) {
    const Option *option = find_option(path);
    if (option == nullptr) return fail(0, origin, std::string(path), "no such option; `runvm schema` lists all options");
    if (!is_utf8(text)) return fail(0, origin, "", "must be UTF-8");
    auto value = value_from(*option, text, origin);
    if (!value) return std::unexpected(value.error());
    // A single value extends a list; a whole list in JSON replaces it.
    const bool append = is_list(option->kind) && (option->kind == Kind::texts || !value->is_array());
    if (append && !value->is_array()) *value = Json::array({*value});
    Json object = std::move(*value);
    for (std::string_view rest = path; !rest.empty();) {
        const size_t dot = rest.rfind('.');
        const std::string_view name = dot == std::string_view::npos ? rest : rest.substr(dot + 1);
        object = Json{{std::string(name), std::move(object)}};
        rest = dot == std::string_view::npos ? std::string_view() : rest.substr(0, dot);
    }
    return Layer{std::move(origin), object.dump(), append};
}

std::vector<Key> keys() {
    std::vector<Key> result;
    for (const auto &subject : subjects()) add_keys(result, subject.options, "", subject.title);
    return result;
}

}  // namespace hostside
