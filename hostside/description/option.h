// One option of a description as data: name, type, limits, default, help, and the member of Machine that it fills. All
// that is known of an option stands in its row; the checks, the schema, the flags, the completions and the manual page
// are made from the rows.
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
    group,   // an object whose keys are options themselves: `qemu`
    objects  // a list of objects, or an object of them by name, as NixOS's attribute sets are
};

using Place = std::variant<std::monostate, std::string Machine::*, bool Machine::*, int Machine::*, unsigned Machine::*,
                           std::vector<std::string> Machine::*, std::vector<int> Machine::*>;

// A flag's short form of an object, as JSON text: `2222:22` for a forwarded port.
using Shorthand = base::Result<std::string> (*)(std::string_view text);

struct Option {
    std::string_view name;
    Kind kind = Kind::text;
    std::string_view help{};
    Place place{};                  // none: of an object in a list
    std::string_view fallback{};    // the default as JSON; empty: none
    long long least = 0, most = 0;  // of an integer, or of each
    std::vector<std::string_view> choices{};
    std::string_view value{};           // what its value is called in help: DIR, FILE, MIB; empty: by its kind
    std::string_view also{};            // another name of the key: what NixOS calls it now
    std::string_view flags{};           // more names of the flag: "-m,--memory"
    std::string_view flag{};            // the flag; empty: made of the name
    std::string_view flag_alone{};      // what the flag means without a value; empty: it needs one
    std::vector<Option> fields{};       // of a group, of each object
    std::string_view named_by{};        // of objects: the field that an attribute set's names are
    Shorthand shorthand = nullptr;      // of objects and groups: how a flag may say one
    std::string_view shorthand_form{};  // its form, for help
    bool required = false;
    bool shell_words = false;  // of texts: each is split as a shell would, as NixOS's are
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

// All, made once, in this order.
const std::vector<Subject> &subjects();
const std::vector<Option> &options();

bool is_list(Kind kind);
const char *kind_name(Kind kind);

// --- how a row is written ---
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
