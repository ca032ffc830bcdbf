#include "hostside/base/bounded_json.h"

#include <algorithm>
#include <cerrno>
#include <format>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

namespace hostside {

namespace {

using base::Result;

constexpr size_t shown_bytes = 120;
constexpr int number_overflow = 406;  // error id in nlohmann-json

// Checks a text while it is parsed, before anything is stored. nlohmann-json's parser does not recurse, but printing, copying
// and freeing its values does.
class Look final : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit Look(const JsonLimits &limits) : limits_(limits) {}

    std::string pointer, complaint;  // of the fault; no complaint: none
    size_t stopped_at = 0;           // byte of a syntax error; 0: see the pointer

    bool null() override { return value(); }
    bool boolean(bool) override { return value(); }
    bool number_integer(number_integer_t) override { return value(); }
    bool number_unsigned(number_unsigned_t) override { return value(); }
    bool number_float(number_float_t, const string_t &) override { return value(); }
    bool string(string_t &) override { return value(); }
    bool binary(binary_t &) override { return value(); }
    bool start_object(size_t) override { return enter(false); }
    bool end_object() override { return leave(); }
    bool start_array(size_t) override { return enter(true); }
    bool end_array() override { return leave(); }
    bool key(string_t &name) override {
        Level &level = levels_.back();
        level.key = name;
        if (!level.keys.insert(name).second) return refuse("appears twice in its object; keep one");
        if (++keys_ > limits_.keys) return refuse(std::format("{} has at most {} keys", limits_.what, limits_.keys));
        if (level.keys.size() > limits_.keys_of_one)
            return refuse(std::format("an object here has at most {} keys", limits_.keys_of_one));
        return true;
    }
    bool parse_error(size_t byte, const std::string &, const nlohmann::detail::exception &error) override {
        stopped_at = std::max<size_t>(byte, 1);
        complaint = error.id == number_overflow ? "this number is too large" : "this is not valid JSON";
        return false;
    }

  private:
    struct Level {
        bool list = false;
        size_t index = 0;
        std::string key;
        std::unordered_set<std::string> keys;
    };

    bool value() {
        if (!levels_.empty()) ++levels_.back().index;
        return true;
    }
    bool enter(bool list) {
        if (levels_.size() == limits_.depth)
            return refuse(std::format("{} is at most {} levels deep", limits_.what, limits_.depth));
        levels_.push_back({.list = list});
        return true;
    }
    bool leave() {
        levels_.pop_back();
        return value();
    }
    bool refuse(std::string why) {
        for (const auto &level : levels_) pointer += "/" + (level.list ? std::to_string(level.index) : pointer_token(level.key));
        complaint = std::move(why);
        return false;
    }

    JsonLimits limits_;
    std::vector<Level> levels_;
    size_t keys_ = 0;
};

}  // namespace

std::string abridged(std::string_view text) {
    return text.size() <= shown_bytes ? std::string(text) : std::string(text.substr(0, shown_bytes)) + "...";
}

std::string pointer_token(std::string_view key) {
    std::string escaped;
    for (const char c : abridged(key)) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return escaped;
}

Result<> check_json(std::string_view text, const std::string &origin, const JsonLimits &limits) {
    if (text.size() > limits.bytes) return base::fail(EFBIG, origin, "");
    Look look(limits);
    if (nlohmann::json::sax_parse(text, &look)) return {};
    if (look.stopped_at == 0) return base::fail(0, origin, look.pointer, look.complaint);
    const std::string_view seen = text.substr(0, look.stopped_at - 1);
    const size_t newline = seen.rfind('\n');
    const size_t column = seen.size() - (newline == std::string_view::npos ? 0 : newline + 1);
    return base::fail(0, origin, "",
                      std::format("line {}, column {}: {}", 1 + std::ranges::count(seen, '\n'), 1 + column, look.complaint));
}

}  // namespace hostside
