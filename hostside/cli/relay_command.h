// `runvm relay ADDRESS PORT`: connects standard input and output to a TCP port of the host. QEMU starts one for each connection
// that a guest makes to a forwarded port (qemu(1), guestfwd), so that netcat is not needed.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_relay_command(CLI::App &app, int &status);

}  // namespace hostside
