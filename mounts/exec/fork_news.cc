#include "mounts/exec/fork_news.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <ranges>

#include "mounts/base/hex.h"

namespace mounts::exec {

namespace {

constexpr std::string_view digits = base::hex_digits;
constexpr size_t least_entropy = 16, most_entropy = 256, most_cards = 64, address_length = 17, id_length = 32, uuid_length = 36;

std::optional<std::string> unhex(std::string_view text) {
    if (text.size() % 2 != 0 || text.size() > 2 * most_entropy || text.find_first_not_of(digits) != std::string_view::npos)
        return std::nullopt;
    std::string bytes;
    for (size_t i = 0; i < text.size(); i += 2)
        bytes += static_cast<char>((digits.find(text[i]) << 4) | digits.find(text[i + 1]));
    return bytes;
}

bool made_of(std::string_view text, size_t length, std::string_view between) {
    return text.size() == length && std::ranges::all_of(text, [&](char c) { return digits.contains(c) || between.contains(c); });
}

// Takes one `name=value`. False: the name is unknown or the value invalid.
bool take(ForkNews &news, std::string_view name, std::string_view value) {
    if (name == "time") {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), news.time_ns);
        return error == std::errc{} && end == value.data() + value.size();
    }
    if (name == "entropy") {
        auto bytes = unhex(value);
        if (bytes) news.entropy = std::move(*bytes);
        return bytes.has_value();
    }
    if (name == "machine-id") return news.machine_id = value, made_of(value, id_length, "");
    if (name == "boot-id") return news.boot_id = value, made_of(value, uuid_length, "-");
    if (name == "host-name") return news.host_name = value, is_host_name(value);
    if (name != "card" || news.cards.size() >= most_cards || value.size() != 2 * address_length + 1) return false;
    const std::string_view before = value.substr(0, address_length), after = value.substr(address_length + 1);
    news.cards.emplace_back(before, after);
    return value[address_length] == '/' && made_of(before, address_length, ":") && made_of(after, address_length, ":");
}

}  // namespace

bool is_host_name(std::string_view name) {
    constexpr size_t longest = 64;
    return !name.empty() && name.size() <= longest && std::ranges::all_of(name, [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

std::string fork_news_text(const ForkNews &news) {
    std::string text = std::format("time={} entropy={} machine-id={} boot-id={}", news.time_ns, base::hex(news.entropy),
                                   news.machine_id, news.boot_id);
    if (!news.host_name.empty()) text += " host-name=" + news.host_name;
    for (const auto &[before, after] : news.cards) text += std::format(" card={}/{}", before, after);
    return text;
}

std::optional<ForkNews> parse_fork_news(std::string_view text) {
    ForkNews news;
    for (const auto part : std::views::split(text, ' ')) {
        const std::string_view word(part);
        const size_t equals = word.find('=');
        if (equals == std::string_view::npos || !take(news, word.substr(0, equals), word.substr(equals + 1))) return std::nullopt;
    }
    // Without these, two forks would be the same machine.
    if (news.entropy.size() < least_entropy || news.time_ns <= 0 || news.machine_id.empty() || news.boot_id.empty())
        return std::nullopt;
    return news;
}

}  // namespace mounts::exec
