#include "hostside/fleet/example.h"

#include <format>

namespace hostside {

std::string example_fleet(const std::string &defaults_json) {
    return std::format(R"({{
  "defaults": {},
  "nodes": {{
    "hello": {{
      "command": ["uname", "-a"]
    }},
    "checks": {{
      "copies": 2,
      "timeout": 600,
      "script": "test -d /nix/store\ntouch /nix/store/this-store-can-be-written\n"
    }},
    "server": {{
      "vlans": [1],
      "service": true
    }},
    "client": {{
      "vlans": [1],
      "script": "cat /proc/net/dev\n"
    }}
  }}
}}
)",
                       defaults_json);
}

}  // namespace hostside
