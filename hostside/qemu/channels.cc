#include "hostside/qemu/parts.h"

#include <sys/un.h>

#include <format>

#include "hostside/base/run_names.h"
#include "mounts/protocol.h"

namespace hostside {

namespace protocol = mounts::protocol;

namespace {

base::Result<std::string> socket_path(const HostFacts &facts, std::string_view name) {
    std::string path = std::format("{}/{}", facts.run_directory, name);
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return base::fail(
            0, "socket", path,
            std::format("it has {} bytes, and a socket's path can have at most {}; give the machine a shorter name, or set "
                        "XDG_RUNTIME_DIR to a shorter directory",
                        path.size(), sizeof(sockaddr_un::sun_path) - 1));
    return path;
}

base::Result<> add_exec_port(Argv &argv, const HostFacts &facts) {
    auto port = socket_path(facts, exec_port_socket);
    if (!port) return std::unexpected(port.error());
    auto events = socket_path(facts, exec_events_socket);
    if (!events) return std::unexpected(events.error());
    add(argv, "-chardev", std::format("socket,id=exec-events,path={},server=on,wait=off", escaped(*events)));
    add(argv, "-mon", "chardev=exec-events,mode=control");
    add(argv, "-chardev", std::format("socket,id=exec,path={},server=on,wait=off", escaped(*port)));
    add(argv, "-device", std::format("virtserialport,chardev=exec,id={0},name={0}", protocol::exec_port));
    return {};
}

}  // namespace

base::Result<> add_channels(Argv &argv, const Machine &m, const HostFacts &facts) {
    auto status = socket_path(facts, status_socket);
    if (!status) return std::unexpected(status.error());
    auto qmp = socket_path(facts, qmp_socket);
    if (!qmp) return std::unexpected(qmp.error());
    if (auto console = socket_path(facts, console_socket); !console) return std::unexpected(console.error());
    auto events = socket_path(facts, events_socket);
    if (!events) return std::unexpected(events.error());
    std::string log = escaped(std::format("{}/{}", facts.run_directory, console_log));
    if (facts.console_log_fd >= 0) {
        constexpr int set = 9001;  // a number that no other -add-fd uses
        add(argv, "-add-fd", std::format("fd={},set={}", facts.console_log_fd, set));
        log = std::format("/dev/fdset/{},logappend=on", set);  // a pipe cannot be truncated
    }
    if (facts.terminal)
        add(argv, "-chardev", std::format("stdio,id=console,{}logfile={}", facts.monitor ? "mux=on,signal=off," : "", log));
    else
        add(argv, "-chardev",
            std::format("pipe,id=console,path={},{}logfile={}", escaped(facts.typed_pipe), facts.monitor ? "mux=on," : "", log));
    add(argv, "-serial", "chardev:console");
    if (facts.monitor) add(argv, "-mon", "chardev=console,mode=readline");
    add(argv, "-chardev", std::format("socket,id=qmp,path={},server=on,wait=off", escaped(*qmp)));
    add(argv, "-mon", "chardev=qmp,mode=control");
    add(argv, "-chardev", std::format("socket,id=events,path={},server=on,wait=off", escaped(*events)));
    add(argv, "-mon", "chardev=events,mode=control");
    add(argv, "-device", "pvpanic");
    add(argv, "-device", "virtio-serial-pci");
    // Before the status port, because the launcher takes that one as the sign that QEMU listens on all of them.
    if (auto added = add_exec_port(argv, facts); !added) return added;
    add(argv, "-chardev", std::format("socket,id=status,path={},server=on,wait=off", escaped(*status)));
    add(argv, "-device", std::format("virtserialport,chardev=status,name={}", protocol::status_port));
    if (m.guest_agent) {
        auto agent = socket_path(facts, "agent");
        if (!agent) return std::unexpected(agent.error());
        add(argv, "-chardev", std::format("socket,id=agent,path={},server=on,wait=off", escaped(*agent)));
        add(argv, "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
    }
    return {};
}

}  // namespace hostside
