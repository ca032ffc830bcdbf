#include "hostside/qemu/events.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "hostside/base/bounded_json.h"
#include "hostside/base/printable.h"
#include "mounts/base/error.h"

namespace hostside {

namespace {

std::string name_of(const nlohmann::json &device) { return device.is_string() ? printable(device.get<std::string>()) : "?"; }

}  // namespace

QemuEvent parse_event(std::string_view line) {
    // A guest that breaks out of its machine controls QEMU.
    constexpr JsonLimits limits{.what = "an event", .bytes = event_limit_bytes, .keys = 1000, .depth = 16};
    if (!check_json(line, "QEMU", limits)) return {};
    const auto json = nlohmann::json::parse(line);
    if (!json.is_object() || !json.contains("event")) return {};
    const auto data = json.value("data", nlohmann::json::object());
    if (json["event"] == "GUEST_PANICKED") return {QemuEvent::panic};
    if (json["event"] == "SHUTDOWN" && data.is_object()) {
        const auto reason = data.value("reason", nlohmann::json());
        return {reason == "guest-shutdown" ? QemuEvent::power_off
                : reason == "guest-reset"  ? QemuEvent::reset
                                           : QemuEvent::other};
    }
    if (json["event"] == "VSERPORT_CHANGE" && data.is_object() && data.value("open", nlohmann::json()) == false)
        return {QemuEvent::port_closed, name_of(data.value("id", nlohmann::json()))};
    if (json["event"] != "BLOCK_IO_ERROR" || !data.is_object()) return {};
    // QEMU sets nospace only for drives that stop the guest (werror=enospc, stop). Ours report errors, with the reason in
    // words.
    const bool full =
        data.value("nospace", nlohmann::json()) == true || data.value("reason", nlohmann::json()) == base::errno_text(ENOSPC);
    return {full ? QemuEvent::disk_full : QemuEvent::disk_error, name_of(data.value("device", nlohmann::json()))};
}

QemuEvents::QemuEvents(base::Fd socket) : socket_(std::move(socket)) {
    constexpr std::string_view greeting = "{\"execute\":\"qmp_capabilities\"}\n";
    (void)::send(socket_.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);  // a QEMU that is gone is noticed when waiting
}

std::vector<QemuEvent> QemuEvents::receive() {
    std::array<char, 4096> chunk;
    const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) socket_.reset();
    if (n <= 0) return {};
    std::vector<QemuEvent> news;
    for (const auto &line : lines_.take({chunk.data(), static_cast<size_t>(n)}))
        if (QemuEvent event = parse_event(line); event.kind != QemuEvent::other) news.push_back(std::move(event));
    return news;
}

}  // namespace hostside
