#include "hostside/export/systemd_unit.h"

#include <format>

namespace hostside {

namespace {

std::string doubled(std::string_view text, char special) {
    std::string result;
    for (const char c : text) result.append(c == special ? 2 : 1, c);
    return result;
}

}  // namespace

std::string unit_word(std::string_view word) {
    constexpr unsigned char first_printable = 0x20, del = 0x7f;
    std::string text = "\"";
    for (const char c : word) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (text += '\\') += c;
        else if (c == '%' || c == '$')
            (text += c) += c;
        else if (byte < first_printable || byte == del)
            text += std::format("\\x{:02x}", byte);
        else
            text += c;
    }
    return text + "\"";
}

std::string systemd_unit(const UnitWish &wish) {
    std::string command;
    for (const auto &word : wish.words) command += (command.empty() ? "" : " ") + unit_word(word);
    constexpr int patience_s = 60, stop_limit_s = 90;
    return std::format(R"([Unit]
Description=Virtual machine {0}
Documentation=man:runvm(1)

[Service]
Type={1}
WorkingDirectory={2}
Environment=HOME=%h XDG_RUNTIME_DIR=%t
ExecStart={3}
ExecStop={4} stop --patience {5} {6}
# The launcher ends QEMU; who ends both ends a guest with its disks unflushed.
KillMode=mixed
TimeoutStopSec={7}
TimeoutStartSec=infinity
SuccessExitStatus=143
RestartPreventExitStatus=124

[Install]
WantedBy=default.target
)",
                       doubled(wish.name, '%'), wish.notify_ready ? "notify" : "exec", doubled(wish.directory, '%'), command,
                       unit_word(wish.words.front()), patience_s, unit_word(wish.name), stop_limit_s);
}

}  // namespace hostside
