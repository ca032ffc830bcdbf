// Tells systemd about us, by its protocol and without its library.
#pragma once

namespace hostside {

// READY=1 to $NOTIFY_SOCKET (sd_notify(3)); nothing when there is none.
void notify_ready();

}  // namespace hostside
