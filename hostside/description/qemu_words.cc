#include "hostside/description/qemu_words.h"

#include <algorithm>
#include <cctype>
#include <format>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

namespace {

base::Result<> expand(std::string &word, const std::function<const char *(const char *)> &get) {
    constexpr std::string_view variable = "$QEMU_VDE_SOCKET_";
    for (size_t at = word.find(variable); at != std::string::npos; at = word.find(variable, at)) {
        size_t end = at + variable.size();
        while (end < word.size() && std::isdigit(static_cast<unsigned char>(word[end])) != 0) ++end;
        const std::string name = word.substr(at + 1, end - at - 1);
        const char *value = get(name.c_str());
        if (value == nullptr)
            return base::fail(
                0, "QEMU argument", word,
                std::format("{} is not set; only NixOS's test driver sets it; otherwise, use vlans to connect machines", name));
        // Commas in a QEMU option's value are doubled.
        std::string path;
        for (const char *c = value; *c != '\0'; ++c) path.append(*c == ',' ? 2 : 1, *c);
        word.replace(at, end - at, path);
        at += path.size();
    }
    return {};
}

}  // namespace

void take_qemu_words(Machine &machine) {
    std::vector<std::string> left;
    for (size_t i = 0; i < machine.qemu_options.size(); ++i) {
        const std::string &word = machine.qemu_options[i];
        const std::string_view next = i + 1 < machine.qemu_options.size() ? std::string_view(machine.qemu_options[i + 1]) : "";
        if (word == "-nographic")
            machine.graphics = false;
        else if (word == "-no-reboot")
            machine.allow_reboot = false;
        else if (word == "-serial" && (next == "stdio" || next == "mon:stdio"))
            ++i;
        else
            left.push_back(word);
    }
    machine.qemu_options = std::move(left);
}

base::Result<> expand_vde_sockets(Machine &machine, const std::function<const char *(const char *)> &get) {
    for (auto *words : {&machine.qemu_options, &machine.networking_options})
        for (auto &word : *words)
            if (auto done = expand(word, get); !done) return done;
    return {};
}

}  // namespace hostside
