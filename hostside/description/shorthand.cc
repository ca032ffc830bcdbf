#include "hostside/description/shorthand.h"

#include <charconv>
#include <optional>
#include <ranges>
#include <vector>

#include "hostside/description/json.h"

namespace hostside {

namespace {

std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::unexpected<base::Error> form(std::string_view text, std::string_view expected) {
    return base::fail(0, "", "", "must be " + std::string(expected) + " or JSON, not " + std::string(text));
}

}  // namespace

base::Result<std::string> port_from(std::string_view text) {
    const auto wrong = [&] { return form(text, "[udp:][ADDRESS:]HOSTPORT:GUESTPORT"); };
    std::vector<std::string_view> words;
    Json port = Json::object();
    std::string_view rest = text;
    for (const std::string_view protocol : {"tcp", "udp"})
        if (rest.starts_with(protocol) && rest.substr(protocol.size()).starts_with(':')) {
            port["proto"] = protocol;
            rest.remove_prefix(protocol.size() + 1);
        }
    // IPv6 addresses contain colons, so they are in brackets.
    if (const size_t end = rest.find("]:"); rest.starts_with('[') && end != std::string_view::npos) {
        words.push_back(rest.substr(1, end - 1));
        rest.remove_prefix(end + 2);
    }
    for (auto part : std::views::split(rest, ':')) words.emplace_back(part);
    if (words.size() < 2 || words.size() > 3) return wrong();
    const auto host = number(words[words.size() - 2]);
    const auto guest = number(words.back());
    if (!host || !guest) return wrong();
    port["host"] = {{"port", *host}};
    if (words.size() == 3) port["host"]["address"] = words.front();
    port["guest"] = {{"port", *guest}};
    return port.dump();
}

base::Result<std::string> share_from(std::string_view text) {
    const auto wrong = [&] { return form(text, "TAG=SOURCE:TARGET[:ro]"); };
    const std::string_view whole = text;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return wrong();
    Json share{{"tag", text.substr(0, equals)}};
    text.remove_prefix(equals + 1);
    if (text.ends_with(":ro")) {
        share["readOnly"] = true;
        text.remove_suffix(3);
    }
    // The guest's directory is absolute. The host's may contain a colon.
    const size_t colon = text.rfind(":/");
    if (colon == std::string_view::npos || colon == 0) return form(whole, "TAG=SOURCE:TARGET[:ro]");
    share["source"] = text.substr(0, colon);
    share["target"] = text.substr(colon + 1);
    return share.dump();
}

base::Result<std::string> drive_from(std::string_view text) { return Json{{"file", text}}.dump(); }

base::Result<std::string> credential_from(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return form(text, "NAME=FILE");
    return Json{{"name", text.substr(0, equals)}, {"source", text.substr(equals + 1)}}.dump();
}

base::Result<std::string> interface_from(std::string_view text) {
    const size_t equals = text.rfind('=');
    const auto vlan = equals == std::string_view::npos ? std::nullopt : number(text.substr(equals + 1));
    if (!vlan) return form(text, "NAME=VLAN");
    return Json{{"name", text.substr(0, equals)}, {"vlan", *vlan}}.dump();
}

base::Result<std::string> resolution_from(std::string_view text) {
    const size_t by = text.find('x');
    const auto width = number(text.substr(0, by));
    const auto height = by == std::string_view::npos ? std::nullopt : number(text.substr(by + 1));
    if (!width || !height) return form(text, "WIDTHxHEIGHT");
    return Json{{"x", *width}, {"y", *height}}.dump();
}

}  // namespace hostside
