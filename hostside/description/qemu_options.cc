#include "hostside/description/option.h"

namespace hostside {

using M = Machine;

Subject qemu_options() {
    Option program = with_default(
        "\"qemu-system-x86_64\"",
        text("program", &M::qemu, "FILE", "the QEMU program; qemu-img is taken from the same directory, else from PATH"));
    program.flag = "--qemu";
    Option arguments =
        texts("options", &M::qemu_options, "TEXT", "additional arguments, split as a shell would, without expansion");
    arguments.shell_words = true;
    arguments.flag = "--qemu-option";
    Option network =
        texts("networkingOptions", &M::networking_options, "TEXT", "arguments that replace the user network; split like options");
    network.shell_words = true;
    Option user_network = text("userNetworkOptions", &M::user_network_options, "TEXT",
                               "additional options of the user network, like QEMU_NET_OPTS");
    Option run_as = text("runAs", &M::run_as, "USER",
                         "if root starts QEMU, it becomes this user once its files are open: a name, or UID:GID");
    run_as.flag = "--run-as";
    Option agent = group("guestAgent", "a port for qemu-guest-agent",
                         {boolean("enable", &M::guest_agent, false, "a port for qemu-guest-agent")});
    agent.fields.front().flag = "--guest-agent";
    return {
        "QEMU",
        {group(
            "qemu", "settings of QEMU itself",
            {std::move(program), std::move(arguments), std::move(network), std::move(user_network),
             choice("machine", &M::machine_type, {"pc", "q35"}, "\"pc\"", "the machine type"),
             choice("diskInterface", &M::disk_interface, {"virtio", "scsi", "ide"}, "\"virtio\"", "the interface of all disks"),
             texts("consoles", &M::consoles, "DEVICE",
                   "the guest's consoles; the last is the main one; default: ttyS0, and tty0 with graphics"),
             boolean("virtioKeyboard", &M::virtio_keyboard, true, "a virtio keyboard, if graphics is set"), std::move(agent),
             boolean("sandbox", &M::sandbox, true, "QEMU's seccomp filter, if QEMU has one"), std::move(run_as)})}};
}

Subject run_options() {
    return {"Run",
            {choice("snapshot", &M::snapshot_point, {"ready", "before-stage-2"}, "\"ready\"",
                    "when `runvm snapshot` saves the machine: when it is ready, or before stage 2 begins and any host directory "
                    "is mounted"),
             integer("timeout", &M::timeout_s, {0, 1 << 30}, "0", "SECONDS", "ends the run after this many seconds; 0: never"),
             boolean("allowReboot", &M::allow_reboot, false, "lets the guest reboot instead of ending the run")}};
}

}  // namespace hostside
