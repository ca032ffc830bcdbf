#include "hostside/description/check.h"

#include <algorithm>
#include <format>

#include "hostside/base/nearest.h"
#include "hostside/base/shell_words.h"
#include "hostside/description/nixos_words.h"
#include "hostside/description/parse.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

std::string advice(std::string_view key, const std::vector<Option> &fields) {
    const auto nearest = std::ranges::min_element(fields, {}, [&](const Option &o) { return letters_apart(key, o.name); });
    if (nearest != fields.end() && letters_apart(key, nearest->name) <= 2)
        return std::format("; did you mean {}?", nearest->name);
    return "; `runvm schema` lists all options";
}

class Check {
  public:
    explicit Check(const std::string &origin) : origin_(origin) {}

    // Objects in lists are complete: required fields must be set, and defaults are filled in.
    Result<> object(Json &value, const std::vector<Option> &fields, const std::string &path, bool whole, bool in_list) const {
        if (!value.is_object()) return wrong(path, "an object", value);
        Json result = Json::object();
        for (auto &[key, inner] : value.items()) {
            const auto field = std::ranges::find_if(fields, [&](const Option &o) { return o.name == key || o.also == key; });
            const std::string here = path + "/" + pointer_token(key);
            if (key.empty() || field == fields.end()) return fail(0, origin_, here, "no such option" + advice(key, fields));
            if (auto ok = one(inner, *field, here, in_list); !ok) return ok;
            if (inner.is_null()) continue;
            if (result.contains(field->name))
                return fail(0, origin_, here, std::format("given twice; {} is the same option", field->name));
            result[std::string(field->name)] = std::move(inner);
        }
        for (const auto &field : fields) {
            if (result.contains(field.name)) continue;
            if (whole && field.required)
                return fail(0, origin_, path + "/" + std::string(field.name),
                            std::format("missing; must be {}: {}", kind_name(field.kind), field.help));
            if (in_list && !field.fallback.empty()) result[std::string(field.name)] = Json::parse(field.fallback);
        }
        value = std::move(result);
        return {};
    }

  private:
    [[nodiscard]] std::unexpected<base::Error> wrong(const std::string &path, std::string_view expected,
                                                     const Json &value) const {
        return fail(0, origin_, path, std::format("must be {}, not {}", expected, abridged(value.dump())));
    }

    Result<> number(const Json &value, const Option &option, const std::string &path) const {
        if (!value.is_number_integer()) return wrong(path, "a whole number", value);
        const bool huge = value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX;
        const long long n = huge ? INT64_MAX : value.get<long long>();
        if (n < option.least || n > option.most)
            return wrong(path, std::format("from {} to {}", option.least, option.most), value);
        return {};
    }

    Result<> word(const Json &value, const Option &option, const std::string &path) const {
        if (!value.is_string()) return wrong(path, "a string", value);
        const auto &text = value.get_ref<const std::string &>();
        if (text.find('\0') != std::string::npos) return wrong(path, "a string without NUL", value);
        if (!option.choices.empty() && std::ranges::find(option.choices, text) == option.choices.end()) {
            std::string all;
            for (const auto choice : option.choices)
                if (!choice.empty()) all.append(all.empty() ? "" : ", ").append(choice);
            return wrong(path, "one of " + all, value);
        }
        if (!option.shell_words) return {};
        auto words = split_words(text, path);
        if (!words) return fail(0, origin_, path, words.error().hint);
        return {};
    }

    // NixOS's attribute sets: {"src": {"source": …}} means [{"tag": "src", "source": …}].
    Result<> named_to_list(Json &value, const Option &option, const std::string &path) const {
        Json list = Json::array();
        for (auto &[name, inner] : value.items()) {
            const std::string here = path + "/" + pointer_token(name);
            Json item{{option.named_by, name}};
            if (!inner.is_object()) return wrong(here, "an object", inner);
            if (inner.contains(option.named_by))
                return fail(0, origin_, here,
                            std::format("must not contain '{}', because the object's key gives it", option.named_by));
            item.update(inner);
            if (auto ok = object(item, option.fields, here, true, true); !ok) return ok;
            list.push_back(std::move(item));
        }
        value = std::move(list);
        return {};
    }

    Result<> each(Json &value, const Option &option, const std::string &path) const {
        if (!value.is_array()) return wrong(path, kind_name(option.kind), value);
        for (size_t i = 0; i < value.size(); ++i) {
            const std::string here = std::format("{}/{}", path, i);
            const Result<> ok = option.kind == Kind::objects    ? object(value[i], option.fields, here, true, true)
                                : option.kind == Kind::integers ? number(value[i], option, here)
                                                                : word(value[i], option, here);
            if (!ok) return ok;
        }
        return {};
    }

    Result<> one(Json &value, const Option &option, const std::string &path, bool in_list) const {
        // Nix writes null for "none".
        if (value.is_null() && !option.required && option.kind == Kind::text) value = "";
        if (value.is_null() && !option.required && option.kind == Kind::group) return {};
        switch (option.kind) {
        case Kind::text: return word(value, option, path);
        case Kind::boolean: return value.is_boolean() ? Result<>{} : wrong(path, kind_name(option.kind), value);
        case Kind::integer: return number(value, option, path);
        case Kind::group: return object(value, option.fields, path, true, in_list);
        case Kind::objects:
            if (value.is_object() && !option.named_by.empty()) return named_to_list(value, option, path);
            return each(value, option, path);
        case Kind::texts:
        case Kind::integers: return each(value, option, path);
        }
        return {};
    }

    const std::string &origin_;
};

}  // namespace

base::Result<> check(Json &description, const std::string &origin) {
    if (auto ours = in_our_words(description, origin); !ours) return ours;
    return Check(origin).object(description, options(), "", false, false);
}

}  // namespace hostside
