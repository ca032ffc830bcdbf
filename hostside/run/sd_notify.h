// Notifies systemd with its protocol, without its library.
#pragma once

namespace hostside {

// Sends READY=1 to $NOTIFY_SOCKET (sd_notify(3)). Does nothing if the variable is not set.
void notify_ready();

}  // namespace hostside
