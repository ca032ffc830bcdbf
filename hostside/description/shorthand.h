// Short forms of flags for options that are objects in JSON. Each function returns the object as JSON text. Error: explains the
// form.
#pragma once

#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

base::Result<std::string> port_from(std::string_view text);        // [udp:][ADDRESS:]HOSTPORT:GUESTPORT
base::Result<std::string> share_from(std::string_view text);       // TAG=SOURCE:TARGET[:ro]
base::Result<std::string> drive_from(std::string_view text);       // FILE
base::Result<std::string> credential_from(std::string_view text);  // NAME=FILE
base::Result<std::string> interface_from(std::string_view text);   // NAME=VLAN
base::Result<std::string> resolution_from(std::string_view text);  // WIDTHxHEIGHT

}  // namespace hostside
