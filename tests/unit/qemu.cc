#include "hostside/qemu/command.h"

#include <catch_amalgamated.hpp>
#include <format>

#include "hostside/base/shell_words.h"
#include "hostside/base/user.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/description/description.h"

namespace {

using hostside::HostFacts;

HostFacts host() {
    return {.qemu = "qemu",
            .runvm = "/bin/runvm",
            .kernel = "/k",
            .initrd = "/i",
            .command_line = "quiet",
            .root_image = "/d/root.qcow2",
            .xchg = "/r/xchg",
            .shared = "/r/xchg",
            .runtime = "/r",
            .run_directory = "/r"};
}

std::string command(const std::string &json, const HostFacts &facts = host()) {
    const auto machine = hostside::machine_from({{"test", json, false}});
    REQUIRE(machine);
    const auto argv = hostside::qemu_argv(*machine, facts);
    return argv ? hostside::quote_words(*argv) : base::message(argv.error());
}

struct Option {
    const char *json;
    const char *in_command;
};

}  // namespace

TEST_CASE("the command line of a plain machine") {
    CHECK(
        command("{}") ==
        "qemu -name guest=nixos -nodefaults -no-user-config -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny "
        "-no-reboot -machine pc -accel tcg -cpu max -smp 1 -m "
        "1024M "
        "-display none "
        "-chardev stdio,id=console,logfile=/r/console.log -serial chardev:console -chardev "
        "socket,id=qmp,path=/r/qmp,server=on,wait=off "
        "-mon chardev=qmp,mode=control -chardev socket,id=events,path=/r/events,server=on,wait=off -mon "
        "chardev=events,mode=control -device pvpanic -device virtio-serial-pci "
        "-chardev socket,id=exec-events,path=/r/exec-events,server=on,wait=off -mon chardev=exec-events,mode=control "
        "-chardev socket,id=exec,path=/r/exec-port,server=on,wait=off "
        "-device virtserialport,chardev=exec,id=org.nixos.runvm.exec,name=org.nixos.runvm.exec -chardev "
        "socket,id=status,path=/r/status,server=on,wait=off "
        "-device virtserialport,chardev=status,name=org.nixos.runvm.status "
        "-drive if=none,id=root,file=/d/root.qcow2,format=qcow2,cache=writeback,werror=report -device "
        "virtio-blk-pci,drive=root,serial=root "
        "-virtfs local,path=/nix/store,security_model=none,mount_tag=store,readonly=on,multidevs=remap "
        "-virtfs local,path=/r/xchg,security_model=none,mount_tag=xchg,multidevs=remap "
        "-virtfs local,path=/r/xchg,security_model=none,mount_tag=shared,multidevs=remap "
        "-netdev user,id=user.0 -device virtio-net-pci,netdev=user.0 -device virtio-rng-pci -kernel /k -initrd /i -append quiet");
}

TEST_CASE("each option reaches the command line") {
    const auto option = GENERATE(values<Option>({
        {R"({"name":"a,b"})", "-name guest=a,,b "},
        {R"({"memorySize":2048})", "-m 2048M "},
        {R"({"cores":4})", "-smp 4 "},
        {R"({"cpu":"Nehalem"})", "-cpu Nehalem "},
        {R"({"graphics":true,"resolution":{"x":1280,"y":800}})",
         "-device VGA,xres=1280,yres=800 -device virtio-keyboard-pci -usb -device usb-tablet "},
        {R"({"qemu":{"machine":"q35"}})", "-machine q35 "},
        {R"({"qemu":{"diskInterface":"scsi"}})",
         "-device virtio-scsi-pci,id=scsi -drive if=none,id=root,file=/d/root.qcow2,format=qcow2,cache=writeback,werror=report "
         "-device scsi-hd,bus=scsi.0,drive=root,serial=root "},
        {R"({"qemu":{"diskInterface":"ide"}})", "-device ide-hd,bus=ide.0,unit=0,drive=root,serial=root "},
        {R"({"qemu":{"guestAgent":{"enable":true}}})", "-device virtserialport,chardev=agent,name=org.qemu.guest_agent.0 "},
        {R"({"qemu":{"options":["-s 'a b'"]}})", " -s 'a b'"},
        {R"({"qemu":{"userNetworkOptions":",dns=1.2.3.4"}})", "-netdev user,id=user.0,dns=1.2.3.4 "},
        {R"({"drives":[{"file":"/x,y","serial":"data","format":"raw","readOnly":true}]})",
         "-drive if=none,id=drive0,file=/x,,y,format=raw,cache=writeback,werror=report,readonly=on -device "
         "virtio-blk-pci,drive=drive0,serial=data "},
        {R"({"sharedDirectories":[{"tag":"src","source":"/s","target":"/t","securityModel":"mapped-file","readOnly":true}]})",
         "-virtfs local,path=/s,security_model=mapped-file,mount_tag=src,readonly=on,multidevs=remap "},
        {R"({"restrictNetwork":true})", "-netdev user,id=user.0,restrict=on "},
        {R"({"forwardPorts":[{"host":{"port":2222},"guest":{"port":22}}]})", "-netdev user,id=user.0,hostfwd=tcp::2222-:22 "},
        {R"({"forwardPorts":[{"from":"guest","host":{"port":80},"guest":{"port":8080}}]})",
         "-netdev 'user,id=user.0,guestfwd=tcp:10.0.2.100:8080-cmd:/bin/runvm relay /r/relay 127.0.0.1 80' "},
        {R"({"vlans":[1,3],"nodeNumber":2})",
         "-netdev dgram,id=vlan1,local.type=unix,local.path=/r/.vlan-1/2,remote.type=unix,remote.path=/r/.vlan-1/2.switch "
         "-device "
         "virtio-net-pci,netdev=vlan1,mac=52:54:00:12:01:02 "
         "-netdev dgram,id=vlan2,local.type=unix,local.path=/r/.vlan-3/2,remote.type=unix,remote.path=/r/.vlan-3/2.switch "
         "-device "
         "virtio-net-pci,netdev=vlan2,mac=52:54:00:12:03:02 "},
        {R"({"balloon":true})", "-device virtio-balloon-pci "},
        {R"({"vsock":3})", "-device vhost-vsock-pci,guest-cid=3 "},
        {R"({"useBootLoader":true,"bootDisk":"/b"})",
         "-drive if=none,id=boot,file=/b,format=qcow2,cache=writeback,werror=report,readonly=on -device "
         "virtio-blk-pci,drive=boot,serial=boot,bootindex=1 -boot menu=on,reboot-timeout=0 "},
    }));
    CHECK_THAT(command(option.json), Catch::Matchers::ContainsSubstring(option.in_command));
}

TEST_CASE("what is switched off is not on the command line") {
    CHECK_THAT(command(R"({"rng":false})"), !Catch::Matchers::ContainsSubstring("virtio-rng"));
    CHECK_THAT(command(R"({"allowReboot":true})"), !Catch::Matchers::ContainsSubstring("-no-reboot"));
    CHECK_THAT(command(R"({"qemu":{"sandbox":false}})"), !Catch::Matchers::ContainsSubstring("-sandbox"));
}

TEST_CASE("a QEMU that becomes another user is told so in the words of its version, and its filter lets it") {
    HostFacts facts = host();
    facts.run_as = {.uid = 64055, .gid = 109};
    using Catch::Matchers::ContainsSubstring;
    CHECK_THAT(command("{}", facts), ContainsSubstring("-sandbox on,obsolete=deny,spawn=deny -run-with user=64055:109 "));
    facts.run_with_user = false;
    CHECK_THAT(command("{}", facts), ContainsSubstring("-sandbox on,obsolete=deny,spawn=deny -runas 64055:109 "));
    facts.sandbox = false;
    CHECK_THAT(command("{}", facts), ContainsSubstring("-runas 64055:109 ") && !ContainsSubstring("-sandbox"));
}

TEST_CASE("a user is a name of this host, or two numbers") {
    const auto root = hostside::user_of("root");
    REQUIRE(root);
    CHECK(root->uid == 0);
    const auto numbers = hostside::user_of("64055:109");
    REQUIRE(numbers);
    CHECK(numbers->uid == 64055);
    CHECK(numbers->gid == 109);
    for (const auto *word : {"", ":", "1:", ":1", "1", "-1:1", "1:-1", "4294967295:1", "4294967296:1", "1:1:1", "1:1,chroot=/",
                             " 1:1", "no such user"}) {
        INFO(word);
        CHECK_FALSE(hostside::user_of(word));
    }
}

TEST_CASE("as root, the guest's owners and setuid bits stay in attributes") {
    HostFacts facts = host();
    facts.root = true;
    CHECK_THAT(command("{}", facts), Catch::Matchers::ContainsSubstring("path=/r/xchg,security_model=mapped-xattr,"));
    CHECK_THAT(command("{}", facts),
               Catch::Matchers::ContainsSubstring("path=/nix/store,security_model=none,mount_tag=store,readonly=on,"));
    // A read-only share needs no mapping, and the host's links stay links.
    const char *shares = R"({"sharedDirectories":[{"tag":"a","source":"/s","target":"/a","readOnly":true},
                                                  {"tag":"b","source":"/t","target":"/b"}]})";
    CHECK_THAT(command(shares, facts),
               Catch::Matchers::ContainsSubstring("path=/s,security_model=none,mount_tag=a,readonly=on,"));
    CHECK_THAT(command(shares, facts), Catch::Matchers::ContainsSubstring("path=/t,security_model=mapped-xattr,mount_tag=b,"));
    facts.without_attributes = {"/r/xchg", "/t"};
    CHECK_THAT(command(shares, facts), Catch::Matchers::ContainsSubstring("path=/r/xchg,security_model=none,mount_tag=xchg,"));
    CHECK_THAT(command(shares, facts), Catch::Matchers::ContainsSubstring("path=/t,security_model=mapped-file,mount_tag=b,"));
}

TEST_CASE("QEMU may start programs where a machine needs that, and nowhere else") {
    const auto may = [](const char *json) { return !command(json).contains("spawn=deny"); };
    CHECK_FALSE(may("{}"));
    CHECK_FALSE(may(R"({"forwardPorts":[{"host":{"port":2222},"guest":{"port":22}}],"vlans":[1],"qemu":{"options":["-s"]}})"));
    CHECK(may(R"({"forwardPorts":[{"from":"guest","host":{"port":80},"guest":{"port":8080}}]})"));
    CHECK(may(R"({"qemu":{"networkingOptions":["-nic bridge"]}})"));
    CHECK(may(R"({"qemu":{"options":["-netdev tap,id=n"]}})"));
    CHECK(may(R"({"graphics":true})"));
}

TEST_CASE("an old QEMU does not emulate cmpxchg16b, and KVM takes the host's CPU") {
    HostFacts facts = host();
    facts.qemu_major = 7;
    CHECK_THAT(command("{}", facts), Catch::Matchers::ContainsSubstring("-cpu max,-cx16 "));
    facts.kvm = true;
    CHECK_THAT(command("{}", facts), Catch::Matchers::ContainsSubstring("-accel kvm -cpu host "));
}

TEST_CASE("clashes are refused by name") {
    CHECK(command(R"({"sharedDirectories":[{"tag":"xchg","source":"/s","target":"/t"}]})") ==
          "share 'xchg': the tag is taken (the launcher itself uses store, xchg and shared); choose another name");
    CHECK(command(R"({"sharedDirectories":[{"tag":"a,b","source":"/s","target":"/t"}]})") ==
          "share 'a,b': a tag must begin with a letter and have only letters, digits, '-', '.' and '_'");
    CHECK(command(R"({"forwardPorts":[{"host":{"port":80},"guest":{"port":1}},{"host":{"port":80},"guest":{"port":2}}]})") ==
          "forward port '80': two entries of forwardPorts take this tcp port of the host; change one");
    const auto with_port = [](const char *rule) { return command(std::string(R"({"forwardPorts":[)") + rule + "]}"); };
    CHECK(with_port(R"({"host":{"address":"0.0.0.0,x=y","port":80},"guest":{"port":1}})") ==
          "forward port '0.0.0.0,x=y': not an IPv4 address; QEMU forwards only IPv4");
    CHECK(with_port(R"({"from":"guest","proto":"udp","host":{"port":80},"guest":{"port":1}})") ==
          "forward port '1': QEMU forwards only tcp from the guest; change its proto");
    CHECK(with_port(R"({"from":"guest","host":{"port":80},"guest":{"address":"192.168.1.1","port":1}})") ==
          "forward port '1': guest address 192.168.1.1 is outside the user network; use one in 10.0.2.0/24");
    CHECK(command(R"({"forwardPorts":[{"host":{"port":80},"guest":{"port":1}}],"qemu":{"networkingOptions":["-nic none"]}})") ==
          "forward port '80': forwardPorts needs the user network, which qemu.networkingOptions replaces; drop one of them");
    CHECK(command(R"({"vlans":[1],"interfaces":{"lan":{"vlan":1}}})") ==
          "join vlan '1': this machine would have two cards there with the same address; name the vlan once in vlans and "
          "interfaces");
    CHECK(command(R"({"drives":[{"file":"/a","serial":"root"}]})") ==
          "add disk '/a': another disk has serial root too; change one, because the guest identifies disks by serial");
    CHECK(command(R"({"drives":[{"file":"/a","serial":"a-serial-of-21-bytes-"}]})") ==
          "add disk '/a': serial a-serial-of-21-bytes- has 21 bytes, but a guest sees only 20; shorten it");
    CHECK(command(R"({"sharedDirectories":[{"tag":"s","source":"/s","target":"t"}]})") ==
          "share 's': target t must begin with '/' and have no ':', '\"', tab or newline");
    CHECK(command(R"({"emptyDiskImages":[1,1],"drives":[{"file":"/x"},{"file":"/y"}],"qemu":{"diskInterface":"ide"}})", [] {
              auto f = host();
              f.empty_images = {"/e0", "/e1"};
              return f;
          }()) == "add disk '/y': IDE has room for 4 disks on pc; use qemu.diskInterface scsi or virtio");
    HostFacts facts = host();
    facts.run_directory = "/" + std::string(100, 'r');
    CHECK(command("{}", facts) == std::format("socket '{}/status': it has 108 bytes, and a socket's path can have at most 107; "
                                              "give the machine a shorter name, or set XDG_RUNTIME_DIR to a shorter directory",
                                              facts.run_directory));
}

TEST_CASE("our parameters stand before the words of init, whoever wrote those") {
    const auto machine = hostside::machine_from({{"test", R"({"kernelParams":["a=1","-- x y","b=\"-- z\""]})", false}});
    REQUIRE(machine);
    std::string line = hostside::kernel_command_line(*machine, "quiet -- of the system", "/i");
    hostside::add_parameter(line, "no_timer_check");
    CHECK(line.starts_with("quiet console=ttyS0 panic=-1 init=/i "));
    const size_t dashes = line.find(" -- ");
    for (const char *ours : {"init=/i", "stage1.union=", "root=", " a=1", " no_timer_check"}) CHECK(line.find(ours) < dashes);
    CHECK(line.ends_with(" -- of the system"));
}

TEST_CASE("more devices than a machine has slots for, and a QEMU that would leave its launcher, are refused with what to do") {
    HostFacts facts = host();
    std::string sizes;
    for (int i = 0; i < 27; ++i) {
        facts.empty_images.push_back(std::format("/e{}", i));
        sizes += (i == 0 ? "" : ",") + std::string("1");
    }
    const std::string disks = R"("emptyDiskImages":[)" + sizes + "]";
    CHECK_THAT(command("{" + disks + "}", facts),
               Catch::Matchers::ContainsSubstring(
                   " on PCI': pc has room for 30; with --disk-interface scsi, all disks share one device"));
    CHECK_FALSE(command("{" + disks + R"(,"qemu":{"diskInterface":"scsi"}})", facts).contains("on PCI'"));
    std::string shares;
    for (int i = 0; i < 30; ++i)
        shares += std::format(R"({}{{"tag":"s{}","source":"/s","target":"/t{}"}})", i == 0 ? "" : ",", i, i);
    CHECK_THAT(command(R"({"sharedDirectories":[)" + shares + "]}"),
               Catch::Matchers::ContainsSubstring("share fewer directories"));
    CHECK(command(R"({"qemu":{"options":["-daemonize"]}})") ==
          "QEMU argument '-daemonize': the launcher must stay with its QEMU; to run in the background, use runvm start");
}

TEST_CASE("the kernel's command line says what stage 1 needs") {
    const auto machine =
        hostside::machine_from({{"test", R"({"diskImage":"","regInfo":"/nix/store/r","writableStoreUseTmpfs":false,"msize":4096,
        "kernelParams":["debug"],"sharedDirectories":[{"tag":"s","source":"/s","target":"/t","readOnly":true}]})",
                                 false}});
    REQUIRE(machine);
    CHECK(hostside::kernel_command_line(*machine, "loglevel=4\n", "/nix/store/x/init") ==
          "loglevel=4 console=ttyS0 panic=-1 init=/nix/store/x/init regInfo=/nix/store/r root=tmpfs stage1.union=disk "
          "stage1.share=s:/t:ro,msize=4096 debug");
}

TEST_CASE("a system's own initrd with root=fstab gets no second root, unless one is asked for") {
    const auto line = [](const std::string &description) {
        const auto machine = hostside::machine_from({{"test", description, false}});
        REQUIRE(machine);
        return hostside::kernel_command_line(*machine, "quiet root=fstab\n", "/i");
    };
    CHECK_FALSE(line(R"({"initrd":"/initrd"})").contains("root=serial"));
    CHECK(line("{}").contains(" root=serial=root"));
    CHECK(line(R"({"initrd":"/initrd","rootDevice":"/dev/vdb"})").contains(" root=/dev/vdb"));
}

TEST_CASE("a command line that the kernel would cut moves our parameters into the initrd") {
    const std::string share = "stage1.share=s:/" + std::string(2000, 't');
    const auto parts = hostside::command_line_parts("init=/i dyndbg=\"a b\" " + share + " quiet regInfo=/nix/store/r");
    REQUIRE(parts);
    CHECK(parts->line == "init=/i dyndbg=\"a b\" quiet");
    CHECK(parts->parameters == share + " regInfo=/nix/store/r");
    CHECK(base::message(hostside::command_line_parts(std::string(2048, 'x')).error()) ==
          "kernel command line: it has 2048 bytes, even without the parameters that the initrd can carry; the kernel cuts it off "
          "at 2047: use fewer kernelParams");
}
