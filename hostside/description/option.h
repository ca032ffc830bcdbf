// One option of a description as data: name, type, limits, default, help, and its member of Machine. Its row holds everything
// about an option; checks, schema, flags, completions and manual page are generated from the rows.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

enum class Kind {
    text,
    boolean,
    integer,
    texts,
    integers,
    group,   // an object whose keys are options: `qemu`
    objects  // a list of objects, or an object of objects by name, like NixOS's attribute sets
};

using Place = std::variant<std::monostate, std::string Machine::*, bool Machine::*, int Machine::*, unsigned Machine::*,
                           std::vector<std::string> Machine::*, std::vector<int> Machine::*>;

// A flag's short form for an object; returns JSON text. `2222:22` is a forwarded port.
using Shorthand = base::Result<std::string> (*)(std::string_view text);

struct Option {
    std::string_view name;
    Kind kind = Kind::text;
    std::string_view help{};
    Place place{};                  // empty: a field of an object in a list
    std::string_view fallback{};    // the default as JSON; empty: none
    long long least = 0, most = 0;  // for an integer, or each integer in a list
    std::vector<std::string_view> choices{};
    std::string_view value{};           // placeholder in help: DIR, FILE, MIB; empty: derived from the kind
    std::string_view also{};            // another name of the key: NixOS's current name
    std::string_view flags{};           // more names for the flag: "-m,--memory"
    std::string_view flag{};            // the flag; empty: derived from the name
    std::string_view flag_alone{};      // what the flag means without a value; empty: a value is required
    std::vector<Option> fields{};       // for a group, or each object
    std::string_view named_by{};        // for objects: the field that holds an attribute set's names
    Shorthand shorthand = nullptr;      // for objects and groups: parses the flag's short form
    std::string_view shorthand_form{};  // its form, for help
    bool required = false;
    bool shell_words = false;  // for texts: split each one as a shell does, as NixOS does
};

// Options by subject, for help.
struct Subject {
    std::string_view title;
    std::vector<Option> options;
};

Subject system_options();    // what is booted
Subject hardware_options();  // processors, memory, display, devices
Subject disk_options();
Subject share_options();
Subject network_options();
Subject qemu_options();
Subject run_options();

// All options, created once, in this order.
const std::vector<Subject> &subjects();
const std::vector<Option> &options();

bool is_list(Kind kind);
const char *kind_name(Kind kind);

// --- constructors for rows ---
struct Limits {
    long long least, most;
};
Option text(std::string_view name, std::string Machine::*place, std::string_view value, std::string_view help);
Option boolean(std::string_view name, bool Machine::*place, bool fallback, std::string_view help);
Option integer(std::string_view name, int Machine::*place, Limits limits, std::string_view fallback, std::string_view value,
               std::string_view help);
Option texts(std::string_view name, std::vector<std::string> Machine::*place, std::string_view value, std::string_view help);
Option integers(std::string_view name, std::vector<int> Machine::*place, Limits limits, std::string_view value,
                std::string_view help);
Option choice(std::string_view name, std::string Machine::*place, std::vector<std::string_view> choices,
              std::string_view fallback, std::string_view help);
Option group(std::string_view name, std::string_view help, std::vector<Option> fields);
Option objects(std::string_view name, std::string_view help, std::vector<Option> fields);
Option with_default(std::string_view json, Option option);
Option required(Option option);

}  // namespace hostside
