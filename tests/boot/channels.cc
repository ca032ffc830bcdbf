// What the host and a running guest tell each other: the balloon and the guest agent's port.

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>

#include "hostside/base/unix_socket.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

using namespace boot_test;
using Json = nlohmann::json;

// An agent with one command, which answers in JSON lines like qemu-guest-agent: the amount of memory in MiB. A read returns at
// once while nobody has the other end open.
constexpr const char *agent = R"sh(
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = org.qemu.guest_agent.0 ] && exec 4<>/dev/${port##*/}
done
touch /tmp/shared/up
until [ -e /tmp/shared/done ]; do
    read -r -t 5 question <&4 || { sleep 0.2; continue; }
    case $question in
    '{"execute":"memory"}') echo "{\"return\":$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)}" ;;
    *) echo '{"error":{"class":"CommandNotFound"}}' ;;
    esac >&4
done)sh";

// The next line within 30 s, parsed.
Json answer(int socket) {
    std::string line;
    for (pollfd wait{socket, POLLIN, 0}; !line.ends_with('\n');) {
        std::array<char, 256> chunk;
        REQUIRE(::poll(&wait, 1, 30'000) == 1);
        const ssize_t n = ::recv(socket, chunk.data(), chunk.size(), 0);
        REQUIRE(n > 0);
        line.append(chunk.data(), static_cast<size_t>(n));
    }
    return Json::parse(line);
}

TEST_CASE("the guest agent answers at its socket, and the balloon takes memory from the guest and gives it back") {
    const Place place(agent);
    const pid_t run = place.launch({"run", "--name", "one", "--timeout", "240", "--memory", "640", "--balloon", "--guest-agent",
                                    "--module=virtio_balloon", "--disk-image", ""});
    (void)place.wait_for("up");
    const auto socket = hostside::connect_unix(place.runtime() + "/one/agent");
    REQUIRE(socket);
    const auto ask = [&](const std::string &question) {
        REQUIRE(base::write_all(socket->get(), question + "\n", "agent"));
        return answer(socket->get());
    };
    const auto memory_mib = [&] { return ask(R"({"execute":"memory"})").at("return").get<int>(); };
    const auto move_balloon = [&](int mib) {
        const auto exit =
            place.runvm({"qmp", "one", std::format(R"({{"execute":"balloon","arguments":{{"value":{}}}}})", mib << 20)});
        CHECK(exit.status == 0);
        CHECK(exit.output == "{\"return\": {}}\n");
    };

    CHECK(ask(R"({"execute":"other"})").at("error").at("class") == "CommandNotFound");
    const int whole = memory_mib();
    CHECK(whole > 500);
    move_balloon(640 - 128);
    CHECK(within(60, [&] { return memory_mib() == whole - 128; }));
    move_balloon(640);
    CHECK(within(60, [&] { return memory_mib() == whole; }));
    std::ofstream(place.shared() + "/done").flush();
    CHECK(wait_for_end(run) == 0);
}

}  // namespace
