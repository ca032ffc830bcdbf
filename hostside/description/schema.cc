#include "hostside/description/description.h"
#include "hostside/description/json.h"
#include "hostside/description/option.h"

namespace hostside {

namespace {

Json schema_of(const std::vector<Option> &options);

Json with_type(const Option &option) {
    const Json number{{"type", "integer"}, {"minimum", option.least}, {"maximum", option.most}};
    const auto list = [](Json items) { return Json{{"type", "array"}, {"items", std::move(items)}}; };
    switch (option.kind) {
    case Kind::text: {
        Json s{{"type", option.required ? Json("string") : Json::array({"string", "null"})}};
        if (!option.choices.empty()) s["enum"] = option.choices;
        return s;
    }
    case Kind::boolean: return Json{{"type", "boolean"}};
    case Kind::integer: return number;
    case Kind::texts: return list({{"type", "string"}});
    case Kind::integers: return list(number);
    case Kind::group: return schema_of(option.fields);
    case Kind::objects: break;
    }
    Json objects = list(schema_of(option.fields));
    if (option.named_by.empty()) return objects;
    std::vector<Option> others;
    for (const auto &field : option.fields)
        if (field.name != option.named_by) others.push_back(field);
    return Json{{"anyOf", Json::array({objects, Json{{"type", "object"}, {"additionalProperties", schema_of(others)}}})}};
}

Json schema_of(const std::vector<Option> &options) {
    Json s{{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
    Json required = Json::array();
    for (const auto &option : options) {
        Json property = with_type(option);
        property["description"] = option.help;
        if (!option.fallback.empty() && !option.required) property["default"] = Json::parse(option.fallback);
        if (!option.also.empty()) s["properties"][std::string(option.also)] = property;
        s["properties"][std::string(option.name)] = std::move(property);
        if (option.required) required.emplace_back(option.name);
    }
    if (!required.empty()) s["required"] = required;
    return s;
}

}  // namespace

std::string schema() {
    Json whole{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "runvm machine description"}};
    whole.update(schema_of(options()));
    return whole.dump(2) + "\n";
}

}  // namespace hostside
