#include "hostside/description/merge.h"

#include <algorithm>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/description/check.h"
#include "hostside/description/option.h"
#include "hostside/description/parse.h"

namespace hostside {

namespace {

using base::Result;

Json defaults(const std::vector<Option> &options) {
    Json result = Json::object();
    for (const auto &option : options) {
        Json &value = result[std::string(option.name)];
        if (option.kind == Kind::group)
            value = defaults(option.fields);
        else if (!option.fallback.empty())
            value = Json::parse(option.fallback);
    }
    return result;
}

void lay_over(Merged &below, Json &into, const Json &from, const std::vector<Option> &options, const Layer &layer,
              const std::string &prefix) {
    for (const auto &[key, value] : from.items()) {
        const std::string path = prefix + key;
        const auto option = std::ranges::find(options, key, &Option::name);
        if (option->kind == Kind::group) {
            lay_over(below, into[key], value, option->fields, layer, path + ".");
            continue;
        }
        std::string &origin = below.origins[path];
        if (layer.append && value.is_array() && !into[key].empty()) {
            for (const auto &item : value) into[key].push_back(item);
            origin += " + " + layer.origin;
        } else {
            into[key] = value;
            origin = layer.origin;
        }
    }
}

// Leaves out options without a value or default (resolution), so that the result is a valid description. Options are nested two
// levels deep.
Json without_nothing(const Json &values) {
    Json result = Json::object();
    for (const auto &[key, value] : values.items()) {
        Json inner = value;
        if (value.is_object()) {
            inner = Json::object();
            for (const auto &[name, field] : value.items())
                if (!field.is_null()) inner[name] = field;
        }
        if (!inner.is_null() && !(value.is_object() && inner.empty())) result[key] = std::move(inner);
    }
    return result;
}

void print_values(std::string &lines, const Merged &merged, const Json &values, const std::vector<Option> &options,
                  const std::string &prefix) {
    for (const auto &option : options) {
        const std::string path = prefix + std::string(option.name);
        const Json &value = values[std::string(option.name)];
        if (option.kind == Kind::group) {
            print_values(lines, merged, value, option.fields, path + ".");
            continue;
        }
        const auto origin = merged.origins.find(path);
        lines += printable(std::format("{} = {}  # {}", path, value.dump(),
                                       origin == merged.origins.end() ? "default" : origin->second)) +
                 "\n";
    }
}

}  // namespace

Result<Merged> merged(const std::vector<Layer> &layers) {
    Merged result{defaults(options()), {}};
    for (const auto &layer : layers) {
        auto json = parse(layer.json, layer.origin);
        if (!json) return std::unexpected(json.error());
        if (auto ok = check(*json, layer.origin); !ok) return std::unexpected(ok.error());
        lay_over(result, result.value, *json, options(), layer, "");
    }
    // The only default that depends on other values.
    if (!result.origins.contains("diskImage"))
        result.value["diskImage"] =
            "./" + result.value["name"].get<std::string>() + "." + result.value["diskImageFormat"].get<std::string>();
    return result;
}

Result<Machine> machine_from(const std::vector<Layer> &layers) {
    return merged(layers).transform([](const Merged &m) { return machine_from_json(m.value); });
}

Result<std::string> describe(const std::vector<Layer> &layers) {
    return merged(layers).transform([](const Merged &m) {
        std::string lines;
        print_values(lines, m, m.value, options(), "");
        return lines;
    });
}

Result<std::string> describe_json(const std::vector<Layer> &layers) {
    return merged(layers).transform([](const Merged &m) { return without_nothing(m.value).dump(2) + "\n"; });
}

}  // namespace hostside
