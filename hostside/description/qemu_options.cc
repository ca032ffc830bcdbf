#include "hostside/description/option.h"

namespace hostside {

using M = Machine;

Subject qemu_options() {
    Option program =
        with_default("\"qemu-system-x86_64\"",
                     text("program", &M::qemu, "FILE", "the program; qemu-img is taken from beside it, else from PATH"));
    program.flag = "--qemu";
    Option arguments = texts("options", &M::qemu_options, "TEXT", "more arguments, split as a shell would, nothing expanded");
    arguments.shell_words = true;
    arguments.flag = "--qemu-option";
    Option network =
        texts("networkingOptions", &M::networking_options, "TEXT", "arguments instead of the user network; split like options");
    network.shell_words = true;
    Option user_network =
        text("userNetworkOptions", &M::user_network_options, "TEXT", "more options of the user network, as QEMU_NET_OPTS");
    Option run_as =
        text("runAs", &M::run_as, "USER", "started by root, QEMU becomes this user once its files are open: a name, or UID:GID");
    run_as.flag = "--run-as";
    Option agent = group("guestAgent", "a port for qemu-guest-agent",
                         {boolean("enable", &M::guest_agent, false, "a port for qemu-guest-agent")});
    agent.fields.front().flag = "--guest-agent";
    return {"QEMU",
            {group("qemu", "about QEMU itself",
                   {std::move(program), std::move(arguments), std::move(network), std::move(user_network),
                    choice("machine", &M::machine_type, {"pc", "q35"}, "\"pc\"", "machine type"),
                    choice("diskInterface", &M::disk_interface, {"virtio", "scsi", "ide"}, "\"virtio\"", "of all disks"),
                    texts("consoles", &M::consoles, "DEVICE",
                          "the guest's consoles, the last is the main one; none: ttyS0, and tty0 with graphics"),
                    boolean("virtioKeyboard", &M::virtio_keyboard, true, "with graphics, a virtio keyboard"), std::move(agent),
                    boolean("sandbox", &M::sandbox, true, "QEMU's seccomp filter, where it has one"), std::move(run_as)})}};
}

Subject run_options() {
    return {
        "Run",
        {choice("snapshot", &M::snapshot_point, {"ready", "before-stage-2"}, "\"ready\"",
                "where `runvm snapshot` saves the machine: when it is ready, or before stage 2 begins and anything of the host's "
                "is mounted"),
         integer("timeout", &M::timeout_s, {0, 1 << 30}, "0", "SECONDS", "seconds after which the run is ended; 0: never"),
         boolean("allowReboot", &M::allow_reboot, false, "a reboot of the guest starts it again instead of ending the run")}};
}

}  // namespace hostside
