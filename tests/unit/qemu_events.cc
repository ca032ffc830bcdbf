#include "hostside/qemu/events.h"

#include <catch_amalgamated.hpp>

using hostside::parse_event;
using hostside::QemuEvent;

TEST_CASE("the events of QEMU that a person should hear of") {
    CHECK(parse_event(R"({"timestamp": {"seconds": 1}, "event": "GUEST_PANICKED", "data": {"action": "pause"}})").kind ==
          QemuEvent::panic);
    const auto full = parse_event(R"({"event": "BLOCK_IO_ERROR", "data": {"device": "root", "node-name": "#block1",
        "reason": "No space left on device", "operation": "write", "action": "report", "nospace": true}})");
    CHECK(full.kind == QemuEvent::disk_full);
    CHECK(full.device == "root");
    const auto error = parse_event(R"({"event": "BLOCK_IO_ERROR", "data": {"device": "a\u001b[2J", "nospace": false}})");
    CHECK(error.kind == QemuEvent::disk_error);
    CHECK(error.device == "a?[2J");
}

TEST_CASE("QEMU tells whether the guest powered itself off or asked for a reset; an end by the host's hand is neither") {
    const auto shutdown = [](const char *reason) {
        return parse_event(std::string(R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": ")") + reason + "\"}}").kind;
    };
    CHECK(shutdown("guest-shutdown") == QemuEvent::power_off);
    CHECK(shutdown("guest-reset") == QemuEvent::reset);
    for (const char *reason : {"host-ui", "host-signal", "host-qmp-quit", "guest-panic"})
        CHECK(shutdown(reason) == QemuEvent::other);
}

// QEMU 10.0.2 sent the first line for a machine whose image was on a full tmpfs; the second differs only in the reason.
TEST_CASE("a full disk is told by its reason too: QEMU 10 says no nospace of a drive that reports its errors") {
    const auto full = parse_event(
        R"({"timestamp": {"seconds": 1795952669, "microseconds": 191270}, "event": "BLOCK_IO_ERROR", "data": {"device": "root", "node-name": "#block104", "qom-path": "/machine/peripheral-anon/device[3]/virtio-backend", "reason": "No space left on device", "operation": "write", "action": "report"}})");
    CHECK(full.kind == QemuEvent::disk_full);
    CHECK(full.device == "root");
    const auto error = parse_event(R"({"event": "BLOCK_IO_ERROR", "data": {"device": "root", "node-name": "#block104",
        "reason": "Input/output error", "operation": "write", "action": "report"}})");
    CHECK(error.kind == QemuEvent::disk_error);
}

TEST_CASE("other lines of the monitor are passed over") {
    for (const char *line : {R"({"QMP": {"version": {}}})", R"({"return": {}})", R"({"event": "RESUME"})", "", "x", "[1]", "null",
                             R"({"event": 3, "data": []})", R"({"event": "SHUTDOWN", "data": {"reason": 3}})",
                             R"({"event": "BLOCK_IO_ERROR", "data": 3})"})
        CHECK(parse_event(line).kind == QemuEvent::other);
}

TEST_CASE("a QEMU that a guest broke out into can't end its launcher with an event that is too deep or too large") {
    constexpr size_t deep = 400'000;
    const std::string lists = std::string(deep, '[') + std::string(deep, ']');
    CHECK(parse_event(R"({"event":"SHUTDOWN","data":)" + lists + "}").kind == QemuEvent::other);
    CHECK(parse_event(R"({"event":"SHUTDOWN","data":{"reason":)" + lists + "}}").kind == QemuEvent::other);
    CHECK(parse_event(R"({"event":"GUEST_PANICKED","event":"x"})").kind == QemuEvent::other);
    CHECK(parse_event(R"({"event":"GUEST_PANICKED","data":{"x":1e999}})").kind == QemuEvent::other);
    std::string keys = R"({"event":"GUEST_PANICKED")";
    for (int i = 0; i < 2000; ++i) keys += ",\"" + std::to_string(i) + "\":0";
    CHECK(parse_event(keys + "}").kind == QemuEvent::other);
}
