// `runvm relay ADDRESS PORT`: joins standard input and output to a TCP port of the host. QEMU starts one for each connection
// that a guest makes to a forwarded port (qemu(1), guestfwd), so that no netcat need be there.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_relay_command(CLI::App &app, int &status);

}  // namespace hostside
