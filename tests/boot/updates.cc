// One disk whose system is replaced by another and comes back: the store's upper and the Nix database stay, and what is beneath
// them changes. The second closure contains the first one and that of the fixture's other system.

#include <catch_amalgamated.hpp>
#include <string>
#include <vector>

#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::first_line;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

class Updated {
  public:
    explicit Updated(std::string engine) : engine_("stage1.union.engine=" + engine) {}

    Boot before(const std::string &script) { return boot(script, {}); }
    Boot after(const std::string &script) { return boot(script, {"--paths-in-nix-db", other_}); }

  private:
    Boot boot(const std::string &script, std::vector<std::string> arguments) {
        const std::string words = "set -e\nother=" + other_ + R"(
part() { cat /tmp/xchg/part; }
valid() { nix-store --check-validity "$1" 2>/dev/null; }
there() { [ -e "$1" ]; }
# `set -e` lets a false `! COMMAND` pass.
refuse() { if "$@"; then echo "unexpected: $*"; exit 1; fi; }
sound() { nix-store --verify 2>&1 | grep -v 'reading\|checking\|nss_dns' && exit 1; true; }
dmesg | grep -e 'union:' -e 'register:'
)";
        return machine_.boot({.store_union = "disk",
                              .script = words + script,
                              .parameters = {engine_},
                              .arguments = std::move(arguments),
                              .registration = false});
    }

    std::string other_ = first_line(boot_test::fixture() + "/systemd/toplevel");
    std::string engine_;
    Machine machine_;
};

// What a guest added stays valid through all updates. A change to a path of the host's does not keep that path valid when the
// host's path is gone.
void update_to_and_fro(Updated &machine, int round) {
    const Boot a = machine.before("echo " + std::to_string(round) + R"( >/tmp/file; nix-store --add /tmp/file >>/tmp/xchg/added
for path in $(cat /tmp/xchg/added); do valid $path; done
refuse valid $other; refuse there $other
if [ -e /tmp/xchg/part ]; then there $(part)/changed; refuse valid $(part); fi
sound; echo all is well)");
    CHECK(a.exit_code == 0);
    CHECK_THAT(a.console, ContainsSubstring("all is well"));
    const Boot b = machine.after(R"(for path in $(cat /tmp/xchg/added); do valid $path; done
valid $other; ls -d /nix/store/*-debian-systemd >/tmp/xchg/part
valid $(part); there $(part)/usr/lib/systemd/systemd
chmod u+w $(part); touch $(part)/changed
sound; echo all is well)");
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("all is well"));
}

}  // namespace

TEST_CASE("a disk lives through updates of its system, to and fro: what was added stays, a path that is gone is not half valid") {
    Updated machine(GENERATE("overlay", "fuse"));
    for (int round = 0; round < 2; ++round) update_to_and_fro(machine, round);
}

TEST_CASE("a disk lives through fifty updates of its system", "[.fifty]") {
    Updated machine("overlay");
    for (int round = 0; round < 25; ++round) update_to_and_fro(machine, round);
}

TEST_CASE("a path of the closure that was removed in the machine is back at the next boot; any other stays removed") {
    Updated machine(GENERATE("overlay", "fuse"));
    const Boot removed = machine.after(R"(nix-store --delete $other; refuse there $other; echo removed)");
    CHECK(removed.exit_code == 0);
    CHECK_THAT(removed.console, ContainsSubstring("removed"));
    const Boot without = machine.before(R"(refuse there $other; refuse valid $other; sound; echo without it)");
    CHECK_THAT(without.console, ContainsSubstring("without it") && !ContainsSubstring("are back"));
    const Boot back = machine.after(R"(valid $other; [ -x $other/init ]; sound; echo it is back)");
    CHECK(back.exit_code == 0);
    CHECK_THAT(back.console, ContainsSubstring("it is back") &&
                                 ContainsSubstring("paths of the closure that were removed in this machine are back: "));
}
