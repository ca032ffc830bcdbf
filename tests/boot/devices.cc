// Every device and share that a description can request, from the guest's point of view.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

// `say WORD COMMAND...` prints a line "WORD: the command's output" on the console.
constexpr const char *say = "say() { local word=$1; shift; echo \"$word: $(\"$@\" 2>&1 | tr '\\n' ' ')\"; }\n";
// Each disk with its serial and its size in MiB, sorted.
constexpr const char *disks = R"sh(
list_disks() {
    for disk in /sys/block/{vd,sd}*; do
        [ -e $disk/size ] || continue
        serial=$(cat $disk/serial 2>/dev/null || tail -c +5 $disk/device/vpd_pg80)
        echo "$(tr -d '\0 ' <<<"$serial")=$(($(cat $disk/size) / 2048))"
    done | sort | tr '\n' ' '
}
)sh";

base::Exit run_described(const Place &place, const Json &description, std::vector<std::string> more = {}) {
    const std::string file = place.directory() + "/machine.json";
    std::ofstream(file) << description.dump();
    more.insert(more.begin(), {"run", "--timeout", "240", "--config", file});
    return place.runvm(std::move(more));
}

void make_raw_disk(const std::string &path, int mib) {
    std::ofstream(path) << "raw disk";
    fs::resize_file(path, static_cast<uintmax_t>(mib) << 20);
}

TEST_CASE("a q35 machine has the processors, disks, shares and devices that it was described with, whatever their names") {
    Place place(std::string(say) + disks + R"sh(
say cores nproc
say cpu grep -m1 'model name' /proc/cpuinfo
say memory awk '/MemTotal/ { print int($2 / 1024 / 100) }' /proc/meminfo
say disks list_disks
say raw head -c 8 $(for d in /sys/block/vd*; do [ "$(cat $d/serial)" = raw ] && echo /dev/${d##*/}; done)
echo x 2>&1 >$(for d in /sys/block/vd*; do [ "$(cat $d/serial)" = raw ] && echo /dev/${d##*/}; done) && echo RAW WRITTEN
say odd cat /mnt/odd/file
say odd-msize sed -n 's|.* /mnt/odd .*\(msize=[0-9]*\).*|\1|p' /proc/mounts
say readonly touch /mnt/readonly/new
touch /mnt/odd/made && chown 1000:1000 /mnt/odd/made && say owner stat -c %u /mnt/odd/made
say rng cat /sys/class/misc/hw_random/rng_current
say virtio cat /sys/bus/virtio/devices/*/device
say ports cat /sys/class/virtio-ports/*/name
say machine cat /sys/class/dmi/id/product_name)sh");
    const std::string odd = place.directory() + "/a b,,c'd\"é日\nz";
    fs::create_directories(odd);
    fs::create_directories(place.directory() + "/readonly");
    std::ofstream(odd + "/file") << "of an odd directory";
    make_raw_disk(place.directory() + "/raw, disk\n2", 8);
    const Json description{
        {"name", "odd, 'näme'"},
        {"memorySize", 700},
        {"cores", 2},
        {"msize", 65536},
        {"emptyDiskImages", {32, 64}},
        {"drives", {{{"file", place.directory() + "/raw, disk\n2"}, {"serial", "raw"}, {"format", "raw"}, {"readOnly", true}}}},
        {"sharedDirectories",
         {{{"tag", "odd"}, {"source", odd}, {"target", "/mnt/odd"}, {"securityModel", "mapped-file"}},
          {{"tag", "ro"}, {"source", place.directory() + "/readonly"}, {"target", "/mnt/readonly"}, {"readOnly", true}}}},
        {"balloon", true},
        {"graphics", false},
        {"extraModules", {"virtio_rng", "virtio_balloon"}},
        {"cpu", "Nehalem"},
        {"qemu", {{"machine", "q35"}, {"guestAgent", {{"enable", true}}}}}};
    const auto exit = run_described(place, description, {"--disk-image", place.directory() + "/root, 'disk'\né.qcow2"});
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("cores: 2") && ContainsSubstring("cpu: model name") &&
                                ContainsSubstring("Nehalem") && ContainsSubstring("memory: 6") &&
                                ContainsSubstring("machine: Standard PC (Q35"));
    CHECK_THAT(exit.output, ContainsSubstring("disks: empty0=32 empty1=64 raw=8 root=1024") &&
                                ContainsSubstring("raw: raw disk") && !ContainsSubstring("RAW WRITTEN"));
    CHECK_THAT(exit.output, ContainsSubstring("odd: of an odd directory") && ContainsSubstring("odd-msize: msize=65536") &&
                                ContainsSubstring("readonly: touch: cannot touch '/mnt/readonly/new': Read-only file system") &&
                                ContainsSubstring("owner: 1000"));
    CHECK_THAT(exit.output, ContainsSubstring("rng: virtio_rng") && ContainsSubstring("0x0005") &&
                                ContainsSubstring("org.qemu.guest_agent.0"));
    CHECK(fs::exists(odd + "/made"));
    CHECK(fs::exists(odd + "/.virtfs_metadata"));  // where mapped-file stores the owner that the guest set
    CHECK(fs::exists(place.directory() + "/root, 'disk'\né.qcow2"));
}

TEST_CASE("disks on scsi and on ide are found by their serials, not by their order") {
    const std::string bus = GENERATE("scsi", "ide");
    Place place(std::string(say) + disks + "say disks list_disks; grep ' / ' /proc/mounts");
    make_raw_disk(place.directory() + "/first", 8);
    const auto exit =
        run_described(place, {{"emptyDiskImages", {16}},
                              {"drives", {{{"file", place.directory() + "/first"}, {"serial", "a-first"}, {"format", "raw"}}}},
                              {"qemu", {{"diskInterface", bus}}}});
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("disks: a-first=8 empty0=16 root=1024") && ContainsSubstring("/dev/sd") &&
                                ContainsSubstring(" / ext4"));
}

TEST_CASE("graphics with a resolution boots without a screen to show it on") {
    const Place place("cat /sys/bus/pci/devices/*/class >/tmp/shared/classes");  // its console is the screen
    const auto exit = run_described(place, {{"graphics", true}, {"resolution", {{"x", 1280}, {"y", 800}}}},
                                    {"--disk-image", "", "--", "-display", "none"});
    CHECK(exit.status == 0);
    CHECK_THAT(place.wait_for("classes"), ContainsSubstring("0x030000"));
}

std::string fetch(int port) {
    const auto exit =
        base::run({.argv = {"timeout", "20", "busybox", "wget", "-q", "-O", "-", std::format("http://127.0.0.1:{}/page", port)},
                   .capture_output = true});
    REQUIRE(exit);
    return exit->output;
}

// The answer to `question` from a UDP port of the host; sends it again each second until the answer or the limit.
std::string datagram(int own_port, int port, std::string_view question, int seconds) {
    const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{}, to{};
    own.sin_family = to.sin_family = AF_INET;
    own.sin_addr.s_addr = to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    own.sin_port = htons(static_cast<uint16_t>(own_port));
    to.sin_port = htons(static_cast<uint16_t>(port));
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&own), sizeof own) == 0);
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr *>(&to), sizeof to) == 0);
    std::array<char, 256> answer;
    for (int i = 0; i < seconds; ++i) {
        (void)::send(socket.get(), question.data(), question.size(), 0);
        pollfd wait{socket.get(), POLLIN, 0};
        if (::poll(&wait, 1, 1000) != 1) continue;
        const ssize_t n = ::recv(socket.get(), answer.data(), answer.size(), 0);
        if (n > 0) return {answer.data(), static_cast<size_t>(n)};
    }
    return {};
}

TEST_CASE("ports are forwarded both ways, and a restricted guest reaches nothing else") {
    const bool restricted = GENERATE(false, true);
    const int to_guest = free_port(), on_host = free_port();
    const int udp_to_guest = free_port(SOCK_DGRAM), udp_client = free_port(SOCK_DGRAM);
    Place place(std::string(say) + std::format(R"sh(
card=$(ls /sys/class/net | grep -v lo)
ip link set lo up; ip addr add 10.0.2.15/24 dev $card; ip link set $card up; ip route add default via 10.0.2.2
mkdir -p /root/www; echo from the guest >/root/www/page
httpd -p 80 -h /root/www
say forwarded timeout 20 wget -q -O - http://10.0.2.100:8080/page
say direct timeout 5 wget -q -O - http://10.0.2.2:{}/page
# Bash has no UDP server, but a client whose port is the one of a range of one. Its read would cut a datagram to a byte.
echo 5353 5353 >/proc/sys/net/ipv4/ip_local_port_range
exec 5<>/dev/udp/10.0.2.2/{}
(while question=$(dd bs=512 count=1 2>/dev/null <&5); do
    echo "the guest heard $question"
    echo "the guest heard $question" >&5
done) &
touch /tmp/shared/up
until [ -e /tmp/shared/done ]; do sleep 0.3; done
kill $!)sh",
                                               on_host, udp_client));
    fs::create_directory(place.directory() + "/www");
    std::ofstream(place.directory() + "/www/page") << "from the host\n";
    const auto server = base::start(
        {.argv = {"busybox", "httpd", "-f", "-p", std::format("127.0.0.1:{}", on_host), "-h", place.directory() + "/www"},
         .dies_with_parent = true});
    REQUIRE(server);
    const std::string file = place.directory() + "/machine.json";
    std::ofstream(file)
        << Json{{"restrictNetwork", restricted},
                {"extraModules", {"virtio_net"}},
                {"forwardPorts",
                 {{{"from", "host"}, {"host", {{"port", to_guest}}}, {"guest", {{"port", 80}}}},
                  {{"from", "host"}, {"proto", "udp"}, {"host", {{"port", udp_to_guest}}}, {"guest", {{"port", 5353}}}},
                  {{"from", "guest"}, {"host", {{"port", on_host}}}, {"guest", {{"port", 8080}}}}}}}
               .dump();
    const pid_t run = place.launch({"run", "--timeout", "240", "--config", file, "--disk-image", ""});
    (void)place.wait_for("up");
    CHECK(fetch(to_guest) == "from the guest\n");
    // QEMU's restricted network lets datagrams in, but no answers out (libslirp: udp_input).
    const std::string answer = restricted ? "" : "the guest heard a question\n";
    CHECK(datagram(udp_client, udp_to_guest, "a question\n", restricted ? 3 : 20) == answer);
    std::ofstream(place.shared() + "/done").flush();
    CHECK(wait_for_end(run) == 0);
    (void)::kill(server->pid, SIGKILL);
    (void)wait_for_end(server->pid);
    CHECK_THAT(place.output(), ContainsSubstring("forwarded: from the host") && ContainsSubstring("the guest heard a question"));
    if (restricted)
        CHECK_THAT(place.output(), !ContainsSubstring("direct: from the host"));
    else
        CHECK_THAT(place.output(), ContainsSubstring("direct: from the host"));
}

TEST_CASE("a vsock is what the host's kernel has: without it, QEMU says so") {
    Place place(std::string(say) + "say cid od -An -tu4 /dev/vsock; say virtio cat /sys/bus/virtio/devices/*/device");
    const auto exit = place.runvm({"run", "--timeout", "240", "--vsock", "77", "--disk-image", ""});
    if (fs::exists("/dev/vhost-vsock")) {
        CHECK(exit.status == 0);
        CHECK_THAT(exit.output, ContainsSubstring("0x0013"));
    } else {
        CHECK(exit.status == 123);
        CHECK_THAT(exit.output, ContainsSubstring("vhost-vsock"));
    }
}

}  // namespace
