// Machines on virtual switches: they find each other, in whatever order they come and go.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

// 1 is on vlan 1, 2 is on both and forwards between them, 3 is on vlan 2. The scripts derive IP addresses from the cards'
// addresses, as NixOS's test driver does.
constexpr const char *guest = R"sh(
node=$(sed -n 's/.*node=\([0-9]*\).*/\1/p' /proc/cmdline)
for card in /sys/class/net/*; do
    IFS=: read -r a b c d vlan m <$card/address
    [ "$a:$b:$c:$d" = 52:54:00:12 ] && [ $((16#$m)) = $node ] || continue
    ip addr add 192.168.$((16#$vlan)).$node/24 dev ${card##*/}
    ip link set ${card##*/} up
done
cd /tmp/shared
wait_for() { until [ -e "$1" ]; do sleep 0.3; done; }
case $node in
1)
    ip route add 192.168.2.0/24 via 192.168.1.2
    touch up-1
    wait_for up-2
    wait_for up-3
    {
        ping -c 3 -W 10 192.168.1.2 && ping -c 3 -W 10 192.168.2.3 && wget -q -O /root/file http://192.168.2.3/file
        sha256sum </root/file
    } >result.new 2>&1
    mv result.new result
    wait_for third-is-gone
    ping -c 3 -W 10 192.168.1.2 >again.new 2>&1
    echo "exited $?" >>again.new
    mv again.new again ;;
2)
    echo 1 >/proc/sys/net/ipv4/ip_forward
    touch up-2 ;;
3)
    ip route add 192.168.1.0/24 via 192.168.2.2
    mkdir /root/www
    head -c 2000000 /dev/urandom >/root/www/file
    sha256sum </root/www/file >sum
    httpd -h /root/www
    touch up-3 ;;
esac
sleep 1000)sh";

TEST_CASE("three machines on two vlans ping each other and copy a file; one that ends takes nothing along") {
    const Place place(guest);
    const auto start = [&](int node, const std::vector<std::string> &vlans) {
        std::vector<std::string> words{"start",        "--name",     std::format("m{}", node),
                                       "--module",     "virtio_net", std::format("--append=node={}", node),
                                       "--disk-image", "",           std::format("--node-number={}", node),
                                       "--memory",     "384"};
        for (const auto &vlan : vlans) words.push_back("--vlans=" + vlan);
        const auto started = place.runvm(words);
        INFO(started.output);
        REQUIRE(started.status == 0);
    };
    start(1, {"1"});
    (void)place.wait_for("up-1");  // alone on its vlan, it has booted
    start(2, {"1", "2"});
    start(3, {"2"});
    const auto taken = place.runvm({"run", "--name", "m4", "--disk-image", "", "--vlans=2", "--node-number=3"});
    CHECK(taken.status == 124);
    CHECK(taken.output == std::format("runvm: lock 'place 3 on vlan 2': in use by the runvm with pid {}; stop that one, or "
                                      "use another nodeNumber\n",
                                      place.holder("m3")));
    const std::string result = place.wait_for("result");
    CHECK_THAT(result, ContainsSubstring("192.168.1.2 ping statistics") && ContainsSubstring("192.168.2.3 ping statistics") &&
                           ContainsSubstring(place.wait_for("sum")));
    CHECK(place.runvm({"stop", "m3", "--now"}).status == 0);
    std::ofstream(place.shared() + "/third-is-gone").flush();
    CHECK_THAT(place.wait_for("again"), ContainsSubstring(" 0% packet loss") && ContainsSubstring("exited 0"));
    for (const char *name : {"m1", "m2"}) CHECK(place.runvm({"stop", name, "--now"}).status == 0);
    CHECK(fs::is_empty(place.runtime()));
}

}  // namespace
