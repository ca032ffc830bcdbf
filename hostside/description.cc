#include "hostside/description.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <format>
#include <map>
#include <nlohmann/json.hpp>

namespace hostside {

namespace {

using base::fail;
using base::Result;
using Json = nlohmann::ordered_json;

enum class Kind { text, boolean, integer, texts, integers, objects, object };

struct Field {
    std::string name;
    Kind kind;
    Json fallback;
    std::string help;
    long long least = 0, most = 0;       // of an integer, or of each
    std::vector<std::string> choices{};  // of a text
    std::vector<Field> fields{};         // of objects
    bool required = false;
};

const std::vector<std::string> security_models{"", "none", "mapped-xattr", "mapped-file", "passthrough"};

std::vector<Field> end_fields() {
    return {{"address", Kind::text, "", "an address; empty: any"}, {"port", Kind::integer, 0, "a port", 1, 65535, {}, {}, true}};
}

const std::vector<Field> &root_fields() {
    static const std::vector<Field> fields{
        {"name", Kind::text, "nixos", "the machine's name"},
        {"store", Kind::text, "/nix/store", "the folder that the guest has as its /nix/store, read-only"},
        {"toplevel", Kind::text, "", "a NixOS system: its kernel, kernel-modules, kernel-params and init are used"},
        {"kernel", Kind::text, "", "the kernel instead of TOPLEVEL/kernel"},
        {"modules", Kind::text, "", "the modules' folder instead of TOPLEVEL/kernel-modules"},
        {"initrd", Kind::text, "", "an initrd instead of the one that is built"},
        {"init", Kind::text, "", "path of stage 2 in the guest instead of TOPLEVEL/init"},
        {"regInfo", Kind::text, "", "path in the guest of the closure's registration"},
        {"stage1", Kind::text, "", "the stage1 program; empty: beside runvm"},
        {"kernelParams", Kind::texts, Json::array(), "more kernel parameters"},
        {"extraModules", Kind::texts, Json::array(), "more kernel modules for the initrd, which the guest loads"},
        {"writableStore", Kind::boolean, true, "a union over the store, so that the guest can add to it"},
        {"writableStoreUseTmpfs", Kind::boolean, true, "what is added lives in memory, not on the root disk"},
        {"useBootLoader", Kind::boolean, false, "boot from bootDisk instead of a kernel"},
        {"bootDisk", Kind::text, "", "the boot loader's disk image"},
        {"memorySize", Kind::integer, 1024, "memory in MiB", 64, 16 << 20},
        {"cores", Kind::integer, 1, "processors", 1, 1024},
        {"cpu", Kind::text, "", "CPU model; empty: host under KVM, else max"},
        {"accelerator", Kind::text, "auto", "auto proves KVM with a guest before it is used", 0, 0, {"auto", "kvm", "tcg"}},
        {"graphics", Kind::boolean, false, "a window instead of the terminal alone"},
        {"resolution",
         Kind::object,
         nullptr,
         "of the window",
         0,
         0,
         {},
         {{"x", Kind::integer, 0, "pixels", 64, 16384, {}, {}, true},
          {"y", Kind::integer, 0, "pixels", 64, 16384, {}, {}, true}}},
        {"diskImage", Kind::text, "",
         "the root disk, created when absent; ./NAME.qcow2 unless given; empty or null: a root on tmpfs"},
        {"diskSize", Kind::integer, 1024, "of a root disk that is created, in MiB", 16, 64 << 20},
        {"emptyDiskImages", Kind::integers, Json::array(), "sizes in MiB of more, empty disks, new in every run", 1, 64 << 20},
        {"drives",
         Kind::objects,
         Json::array(),
         "more disks",
         0,
         0,
         {},
         {{"file", Kind::text, "", "the image", 0, 0, {}, {}, true},
          {"serial", Kind::text, "", "name of the disk in the guest, 20 bytes at most"},
          {"format", Kind::text, "qcow2", "of the image", 0, 0, {"qcow2", "raw"}},
          {"readOnly", Kind::boolean, false, "the guest can't write"}}},
        {"ephemeral", Kind::boolean, false, "nothing that the guest writes survives the run"},
        {"sharedDir", Kind::text, "", "the folder that the guest has as /tmp/shared; empty: the same as /tmp/xchg"},
        {"sharedDirectories",
         Kind::objects,
         Json::array(),
         "more folders of the host",
         0,
         0,
         {},
         {{"tag", Kind::text, "", "its name", 0, 0, {}, {}, true},
          {"source", Kind::text, "", "folder of the host", 0, 0, {}, {}, true},
          {"target", Kind::text, "", "folder in the guest", 0, 0, {}, {}, true},
          {"securityModel", Kind::text, "", "QEMU's security_model; empty: mapped-xattr as root, else none", 0, 0,
           security_models},
          {"readOnly", Kind::boolean, false, "the guest can't write"}}},
        {"msize", Kind::integer, 0, "9p packet size of sharedDirectories in bytes; 0: as stage1 chooses", 0, 512000},
        {"restrictNetwork", Kind::boolean, false, "the guest reaches neither the host nor the network, but forwarded ports"},
        {"forwardPorts",
         Kind::objects,
         Json::array(),
         "ports between host and guest",
         0,
         0,
         {},
         {{"from", Kind::text, "host", "who connects", 0, 0, {"host", "guest"}},
          {"proto", Kind::text, "tcp", "protocol", 0, 0, {"tcp", "udp"}},
          {"host", Kind::object, nullptr, "the host's end", 0, 0, {}, end_fields(), true},
          {"guest", Kind::object, nullptr, "the guest's end", 0, 0, {}, end_fields(), true}}},
        {"vlans", Kind::integers, Json::array(), "virtual switches that this machine is on", 1, 255},
        {"nodeNumber", Kind::integer, 1, "this machine's number on its vlans: 192.168.VLAN.NUMBER", 1, 254},
        {"timeout", Kind::integer, 0, "seconds after which the run is ended; 0: never", 0, 1 << 30},
        {"allowReboot", Kind::boolean, false, "a reboot of the guest starts it again instead of ending the run"},
        {"rng", Kind::boolean, true, "entropy for the guest"},
        {"balloon", Kind::boolean, false, "a memory balloon"},
        {"vsock", Kind::integer, 0, "the guest's vsock address; 0: no vsock", 0, 0xfffffffeLL},
        {"qemu",
         Kind::object,
         nullptr,
         "about QEMU itself",
         0,
         0,
         {},
         {{"program", Kind::text, "qemu-system-x86_64", "the program"},
          {"options", Kind::texts, Json::array(), "more arguments, as they are"},
          {"networkingOptions", Kind::text, "", "more options of the user network, as QEMU_NET_OPTS"},
          {"machine", Kind::text, "pc", "machine type", 0, 0, {"pc", "q35"}},
          {"diskInterface", Kind::text, "virtio", "of all disks", 0, 0, {"virtio", "scsi", "ide"}},
          {"guestAgent", Kind::boolean, false, "a port for qemu-guest-agent"},
          {"sandbox", Kind::boolean, true, "QEMU's seccomp filter, where it has one"}}},
    };
    return fields;
}

const char *kind_name(Kind kind) {
    switch (kind) {
    case Kind::text: return "a string";
    case Kind::boolean: return "true or false";
    case Kind::integer: return "a whole number";
    case Kind::texts: return "a list of strings";
    case Kind::integers: return "a list of whole numbers";
    case Kind::objects: return "a list of objects";
    case Kind::object: return "an object";
    }
    return "";
}

// Checks values against the table; `origin` and the path in it make the message.
class Check {
  public:
    explicit Check(std::string origin) : origin_(std::move(origin)) {}

    Result<> object(const Json &value, const std::vector<Field> &fields, const std::string &path, bool complete) const {
        if (!value.is_object()) return wrong(path, "an object", value);
        for (const auto &[key, inner] : value.items()) {
            const auto field = std::ranges::find(fields, key, &Field::name);
            if (field == fields.end()) return fail(0, origin_, path + "/" + key, "no such option" + nearest(key, fields));
            if (auto ok = one(inner, *field, path + "/" + key); !ok) return ok;
        }
        for (const auto &field : fields)
            if (complete && field.required && !value.contains(field.name))
                return fail(0, origin_, path + "/" + field.name,
                            std::string("missing; it is ") + kind_name(field.kind) + ": " + field.help);
        return {};
    }

  private:
    [[nodiscard]] std::unexpected<base::Error> wrong(const std::string &path, const std::string &expected,
                                                     const Json &value) const {
        return fail(0, origin_, path, std::format("must be {}, not {}", expected, value.dump()));
    }

    Result<> number(const Json &value, const Field &field, const std::string &path) const {
        if (!value.is_number_integer()) return wrong(path, "a whole number", value);
        const auto n = value.get<long long>();
        if (n < field.least || n > field.most) return wrong(path, std::format("from {} to {}", field.least, field.most), value);
        return {};
    }

    static bool holds_nul(const Json &value) { return value.get_ref<const std::string &>().find('\0') != std::string::npos; }

    Result<> one(const Json &value, const Field &field, const std::string &path) const {
        switch (field.kind) {
        case Kind::text:
            // null is how Nix writes "none"
            if (value.is_null() && !field.required) return {};
            if (!value.is_string() || holds_nul(value)) return wrong(path, kind_name(field.kind), value);
            if (!field.choices.empty() && std::ranges::find(field.choices, value.get<std::string>()) == field.choices.end()) {
                std::string all;
                for (const auto &choice : field.choices)
                    if (!choice.empty()) all += (all.empty() ? "" : ", ") + choice;
                return wrong(path, "one of " + all, value);
            }
            return {};
        case Kind::boolean: return value.is_boolean() ? Result<>{} : wrong(path, kind_name(field.kind), value);
        case Kind::integer: return number(value, field, path);
        case Kind::object: return value.is_null() && !field.required ? Result<>{} : object(value, field.fields, path, true);
        case Kind::texts:
        case Kind::integers:
        case Kind::objects: break;
        }
        if (!value.is_array()) return wrong(path, kind_name(field.kind), value);
        for (size_t i = 0; i < value.size(); ++i) {
            const std::string inner = std::format("{}/{}", path, i);
            Result<> ok;
            if (field.kind == Kind::objects)
                ok = object(value[i], field.fields, inner, true);
            else if (field.kind == Kind::integers)
                ok = number(value[i], field, inner);
            else if (!value[i].is_string() || holds_nul(value[i]))
                ok = wrong(inner, "a string", value[i]);
            if (!ok) return ok;
        }
        return {};
    }

    // The option that was meant, when it is so but for its case or a letter or two at the end.
    static std::string nearest(const std::string &key, const std::vector<Field> &fields) {
        const auto lower = [](std::string text) {
            std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            return text;
        };
        for (const auto &field : fields)
            if (lower(field.name).starts_with(lower(key)) || lower(key).starts_with(lower(field.name)))
                return std::format("; did you mean {}?", field.name);
        return "; `runvm schema` lists them";
    }

    std::string origin_;
};

std::string text(const Json &json, const char *key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}

int whole(const Json &json, const char *key) { return json.contains(key) && json[key].is_number() ? json[key].get<int>() : 0; }

Json fallbacks(const std::vector<Field> &fields) {
    Json result = Json::object();
    for (const auto &field : fields)
        result[field.name] = field.kind == Kind::object && field.name == "qemu" ? fallbacks(field.fields) : field.fallback;
    return result;
}

struct Merged {
    Json value;
    std::map<std::string, std::string> origins;  // by key path
};

void merge(Merged &merged, Json &into, const Json &from, const Layer &layer, const std::string &prefix) {
    for (const auto &[key, value] : from.items()) {
        const std::string path = prefix + key;
        if (key == "qemu" && prefix.empty()) {
            merge(merged, into[key], value, layer, "qemu.");
            continue;
        }
        std::string &origin = merged.origins[path];
        if (layer.append && value.is_array() && into[key].is_array() && !into[key].empty()) {
            for (const auto &item : value) into[key].push_back(item);
            origin += " + " + layer.origin;
        } else {
            into[key] = value;
            origin = layer.origin;
        }
    }
}

Result<Merged> merged_layers(const std::vector<Layer> &layers) {
    Merged merged{fallbacks(root_fields()), {}};
    for (const auto &layer : layers) {
        Json json;
        try {
            json = Json::parse(layer.json);
        } catch (const Json::parse_error &error) {
            const std::string_view seen = std::string_view(layer.json).substr(0, error.byte > 0 ? error.byte - 1 : 0);
            return fail(0, layer.origin, "", std::format("line {}: not JSON here", 1 + std::ranges::count(seen, '\n')));
        }
        if (auto ok = Check(layer.origin).object(json, root_fields(), "", false); !ok) return std::unexpected(ok.error());
        merge(merged, merged.value, json, layer, "");
    }
    if (!merged.origins.contains("diskImage")) merged.value["diskImage"] = "./" + text(merged.value, "name") + ".qcow2";
    return merged;
}

std::vector<ForwardPort> forward_ports(const Json &list) {
    std::vector<ForwardPort> ports;
    for (const auto &p : list)
        ports.push_back({p.value("from", "host"), p.value("proto", "tcp"), text(p["host"], "address"),
                         text(p["guest"], "address"), whole(p["host"], "port"), whole(p["guest"], "port")});
    return ports;
}

Machine convert(const Json &j) {
    Machine m;
    const auto t = [&](const char *key) { return text(j, key); };
    const auto b = [&](const char *key) { return j[key].get<bool>(); };
    m.name = t("name"), m.store = t("store"), m.toplevel = t("toplevel"), m.kernel = t("kernel"), m.modules = t("modules");
    m.initrd = t("initrd"), m.init = t("init"), m.reginfo = t("regInfo"), m.stage1 = t("stage1"), m.boot_disk = t("bootDisk");
    m.kernel_params = j["kernelParams"].get<std::vector<std::string>>();
    m.extra_modules = j["extraModules"].get<std::vector<std::string>>();
    m.writable_store = b("writableStore"), m.writable_store_use_tmpfs = b("writableStoreUseTmpfs"),
    m.use_boot_loader = b("useBootLoader");
    m.memory_mib = whole(j, "memorySize"), m.cores = whole(j, "cores"), m.cpu = t("cpu"), m.accelerator = t("accelerator");
    m.graphics = b("graphics"), m.rng = b("rng"), m.balloon = b("balloon"), m.allow_reboot = b("allowReboot");
    m.width = whole(j["resolution"], "x"), m.height = whole(j["resolution"], "y"), m.vsock_cid = j["vsock"].get<unsigned>();
    m.disk_image = t("diskImage"), m.disk_mib = whole(j, "diskSize"), m.ephemeral = b("ephemeral");
    m.empty_disks_mib = j["emptyDiskImages"].get<std::vector<int>>();
    for (const auto &d : j["drives"])
        m.drives.push_back({text(d, "file"), text(d, "serial"), d.value("format", "qcow2"), d.value("readOnly", false)});
    m.shared_dir = t("sharedDir"), m.msize = whole(j, "msize"), m.restrict_network = b("restrictNetwork");
    for (const auto &s : j["sharedDirectories"])
        m.shared_directories.push_back(
            {text(s, "tag"), text(s, "source"), text(s, "target"), text(s, "securityModel"), s.value("readOnly", false)});
    m.forward_ports = forward_ports(j["forwardPorts"]);
    m.vlans = j["vlans"].get<std::vector<int>>(), m.node_number = whole(j, "nodeNumber"), m.timeout_s = whole(j, "timeout");
    const Json &q = j["qemu"];
    m.qemu = text(q, "program"), m.qemu_options = q["options"].get<std::vector<std::string>>(),
    m.net_options = text(q, "networkingOptions");
    m.machine_type = text(q, "machine"), m.disk_interface = text(q, "diskInterface"), m.guest_agent = q["guestAgent"].get<bool>();
    m.sandbox = q["sandbox"].get<bool>();
    return m;
}

// `stage-1` style names of flags: memorySize → --memory-size.
std::string flag_of(const std::string &name) {
    std::string flag = "--";
    for (const char c : name) {
        if (std::isupper(static_cast<unsigned char>(c)) != 0) flag += '-';
        flag += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return flag;
}

Json schema_of(const std::vector<Field> &fields);

Json schema_of(const Field &field) {
    Json s;
    const auto number = [&] { return Json{{"type", "integer"}, {"minimum", field.least}, {"maximum", field.most}}; };
    switch (field.kind) {
    case Kind::text:
        s["type"] = field.required ? Json("string") : Json::array({"string", "null"});
        if (!field.choices.empty()) s["enum"] = field.choices;
        break;
    case Kind::boolean: s["type"] = "boolean"; break;
    case Kind::integer: s = number(); break;
    case Kind::texts: s = {{"type", "array"}, {"items", {{"type", "string"}}}}; break;
    case Kind::integers: s = {{"type", "array"}, {"items", number()}}; break;
    case Kind::objects: s = {{"type", "array"}, {"items", schema_of(field.fields)}}; break;
    case Kind::object: s = schema_of(field.fields); break;
    }
    s["description"] = field.help;
    if (!field.fallback.is_null() && !field.required) s["default"] = field.fallback;
    return s;
}

Json schema_of(const std::vector<Field> &fields) {
    Json s{{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
    Json required = Json::array();
    for (const auto &field : fields) {
        s["properties"][field.name] = schema_of(field);
        if (field.required) required.push_back(field.name);
    }
    if (!required.empty()) s["required"] = required;
    return s;
}

const Field *find_field(std::string_view path) {
    const std::vector<Field> *fields = &root_fields();
    if (path.starts_with("qemu.")) {
        fields = &std::ranges::find(*fields, "qemu", &Field::name)->fields;
        path.remove_prefix(5);
    }
    const auto field = std::ranges::find(*fields, path, &Field::name);
    return field == fields->end() ? nullptr : &*field;
}

}  // namespace

Result<Machine> machine_from(const std::vector<Layer> &layers) {
    auto merged = merged_layers(layers);
    if (!merged) return std::unexpected(merged.error());
    return convert(merged->value);
}

Result<std::string> describe(const std::vector<Layer> &layers) {
    auto merged = merged_layers(layers);
    if (!merged) return std::unexpected(merged.error());
    std::string lines;
    const auto line = [&](const std::string &path, const Json &value) {
        const auto origin = merged->origins.find(path);
        lines += std::format("{} = {}  # {}\n", path, value.dump(), origin == merged->origins.end() ? "default" : origin->second);
    };
    for (const auto &[key, value] : merged->value.items()) {
        if (key != "qemu") {
            line(key, value);
            continue;
        }
        for (const auto &[inner, inner_value] : value.items()) line("qemu." + inner, inner_value);
    }
    return lines;
}

std::string schema() {
    Json s = schema_of(root_fields());
    Json whole_schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "runvm machine description"}};
    whole_schema.update(s);
    return whole_schema.dump(2) + "\n";
}

Result<Layer> setting(std::string_view path, const std::string &value, std::string origin) {
    const Field *field = find_field(path);
    if (field == nullptr) return fail(0, origin, std::string(path), "no such option; `runvm schema` lists them");
    Json json;
    if (field->kind == Kind::text) {
        json = value;
    } else if (field->kind == Kind::texts) {
        json = Json::array({value});
    } else {
        json = Json::parse(value, nullptr, false);
        if (json.is_discarded()) return fail(0, origin, value, std::string("must be ") + kind_name(field->kind));
        if ((field->kind == Kind::integers || field->kind == Kind::objects) && !json.is_array()) json = Json::array({json});
    }
    const std::string key = path.starts_with("qemu.") ? std::string(path.substr(5)) : std::string(path);
    Json object{{key, json}};
    if (path.starts_with("qemu.")) object = Json{{"qemu", object}};
    return Layer{std::move(origin), object.dump(-1, ' ', false, Json::error_handler_t::replace),
                 field->kind == Kind::texts || field->kind == Kind::integers || field->kind == Kind::objects};
}

std::vector<Key> keys() {
    std::vector<Key> result;
    const auto add = [&](const Field &field, const std::string &prefix) {
        const bool list = field.kind == Kind::texts || field.kind == Kind::integers || field.kind == Kind::objects;
        result.push_back({prefix + field.name, flag_of(field.name), field.help, field.kind == Kind::boolean, list});
    };
    for (const auto &field : root_fields()) {
        if (field.name != "qemu") {
            add(field, "");
            continue;
        }
        for (const auto &inner : field.fields) add(inner, "qemu.");
    }
    return result;
}

}  // namespace hostside
