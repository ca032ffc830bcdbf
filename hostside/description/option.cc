#include "hostside/description/option.h"

namespace hostside {

namespace {

// Fields of objects in lists have no member in Machine.
template <class T>
Place place_of(T Machine::*member) {
    return member != nullptr ? Place(member) : Place();
}

}  // namespace

bool is_list(Kind kind) { return kind == Kind::texts || kind == Kind::integers || kind == Kind::objects; }

const char *kind_name(Kind kind) {
    switch (kind) {
    case Kind::text: return "a string";
    case Kind::boolean: return "true or false";
    case Kind::integer: return "a whole number";
    case Kind::texts: return "a list of strings";
    case Kind::integers: return "a list of whole numbers";
    case Kind::group: return "an object";
    case Kind::objects: return "a list of objects";
    }
    return "";
}

Option text(std::string_view name, std::string Machine::*place, std::string_view value, std::string_view help) {
    return {.name = name, .kind = Kind::text, .help = help, .place = place_of(place), .fallback = "\"\"", .value = value};
}

Option boolean(std::string_view name, bool Machine::*place, bool fallback, std::string_view help) {
    return {.name = name, .kind = Kind::boolean, .help = help, .place = place_of(place), .fallback = fallback ? "true" : "false"};
}

Option integer(std::string_view name, int Machine::*place, Limits limits, std::string_view fallback, std::string_view value,
               std::string_view help) {
    return {.name = name,
            .kind = Kind::integer,
            .help = help,
            .place = place_of(place),
            .fallback = fallback,
            .least = limits.least,
            .most = limits.most,
            .value = value};
}

Option texts(std::string_view name, std::vector<std::string> Machine::*place, std::string_view value, std::string_view help) {
    return {.name = name, .kind = Kind::texts, .help = help, .place = place_of(place), .fallback = "[]", .value = value};
}

Option integers(std::string_view name, std::vector<int> Machine::*place, Limits limits, std::string_view value,
                std::string_view help) {
    return {.name = name,
            .kind = Kind::integers,
            .help = help,
            .place = place_of(place),
            .fallback = "[]",
            .least = limits.least,
            .most = limits.most,
            .value = value};
}

Option choice(std::string_view name, std::string Machine::*place, std::vector<std::string_view> choices,
              std::string_view fallback, std::string_view help) {
    return {.name = name,
            .kind = Kind::text,
            .help = help,
            .place = place_of(place),
            .fallback = fallback,
            .choices = std::move(choices)};
}

Option group(std::string_view name, std::string_view help, std::vector<Option> fields) {
    return {.name = name, .kind = Kind::group, .help = help, .fields = std::move(fields)};
}

Option objects(std::string_view name, std::string_view help, std::vector<Option> fields) {
    return {.name = name, .kind = Kind::objects, .help = help, .fallback = "[]", .fields = std::move(fields)};
}

Option with_default(std::string_view json, Option option) {
    option.fallback = json;
    return option;
}

Option required(Option option) {
    option.required = true;
    return option;
}

const std::vector<Subject> &subjects() {
    static const std::vector<Subject> all{system_options(),  hardware_options(), disk_options(), share_options(),
                                          network_options(), qemu_options(),     run_options()};
    return all;
}

const std::vector<Option> &options() {
    static const std::vector<Option> all = [] {
        std::vector<Option> list;
        for (const auto &subject : subjects()) list.insert(list.end(), subject.options.begin(), subject.options.end());
        return list;
    }();
    return all;
}

}  // namespace hostside
