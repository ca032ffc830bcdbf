#include "hostside/description/nixos_words.h"

#include <algorithm>
#include <array>
#include <expected>
#include <format>
#include <string>
#include <string_view>

#include "hostside/description/parse.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

// A key and the only value, as JSON, that is accepted. Empty: any value, because the key only affects an option that is
// refused, or the guest's own configuration.
struct Obeyed {
    std::string_view group, key, value, why;
};
constexpr std::array obeyed{
    Obeyed{"", "mountHostNixStore", "true", "the guest always uses the host's store"},
    Obeyed{"", "nixStore9pCache", R"("loose")", "the store is always cached loosely, because it never changes"},
    Obeyed{"", "bootLoaderDevice", "", ""},
    Obeyed{"", "bootPartition", "", ""},
    Obeyed{"", "useBIOSBoot", "", ""},
    Obeyed{"", "useDefaultFilesystems", "", ""},
    Obeyed{"", "diskSizeAutoSupported", "", ""},
    Obeyed{"", "fileSystems", "", ""},
    Obeyed{"", "allInterfaces", "", ""},
    Obeyed{"", "host", "", ""},
    Obeyed{"efi", "OVMF", "", ""},
    Obeyed{"directBoot", "enable", "true", "runvm boots the kernel directly; for a boot loader, set useBootLoader and bootDisk"},
    Obeyed{"qemu", "enableSharedMemory", "false", "runvm has no option for shared memory; pass QEMU's arguments in qemu.options"},
};

class Words {
  public:
    Words(Json &description, const std::string &origin) : all_(description), origin_(origin) {}

    Result<> drop_obeyed() {
        for (const auto &[group, key, value, why] : obeyed) {
            Json *set = group_of(group);
            if (set == nullptr || !set->contains(key)) continue;
            // For these keys, NixOS's default depends on useBootLoader.
            const bool follows = key == "mountHostNixStore" || group == "directBoot";
            const bool loader = follows && all_.contains("useBootLoader") && all_["useBootLoader"] == true;
            if (!value.empty() && !loader && (*set)[std::string(key)] != Json::parse(value))
                return refuse(std::format("{}/{}", group.empty() ? "" : std::format("/{}", group), key), why);
            set->erase(std::string(key));
        }
        return {};
    }

    Result<> rename() {
        if (auto done = move("directBoot", "initrd", "", "initrd", ""); !done) return done;
        if (auto done = move("qemu", "package", "qemu", "program", "/bin/qemu-system-x86_64"); !done) return done;
        if (auto done = move("tpm", "package", "tpm", "program", "/bin/swtpm"); !done) return done;
        if (Json *qemu = group_of("qemu"); qemu != nullptr && qemu->contains("forceAccel")) {
            const Json force = (*qemu)["forceAccel"];
            if (!force.is_boolean()) return refuse("/qemu/forceAccel", "must be true or false");
            if (force.get<bool>()) all_["accelerator"] = "kvm";
            group_of("qemu")->erase("forceAccel");
        }
        // `auto` means that NixOS chooses the size, and so does runvm.
        if (all_.contains("diskSize") && (all_["diskSize"] == "auto" || all_["diskSize"].is_null())) all_.erase("diskSize");
        if (const Json *direct = group_of("directBoot"); direct != nullptr && direct->empty()) all_.erase("directBoot");
        return {};
    }

    // {size, driveConfig} becomes a size if driveConfig sets nothing.
    Result<> sizes_of_disks() {
        if (!all_.contains("emptyDiskImages") || !all_["emptyDiskImages"].is_array()) return {};
        Json &disks = all_["emptyDiskImages"];
        for (size_t i = 0; i < disks.size(); ++i) {
            if (!disks[i].is_object()) continue;
            const std::string here = std::format("/emptyDiskImages/{}", i);
            for (const auto &[key, value] : disks[i].items())
                if (key != "size" && key != "driveConfig") return refuse(here + "/" + pointer_token(key), "no such option");
            if (!disks[i].contains("size")) return refuse(here + "/size", "missing; must be a whole number: the size in MiB");
            if (disks[i].contains("driveConfig") && !says_nothing(disks[i]["driveConfig"]))
                return refuse(here + "/driveConfig", "only the defaults are supported; describe other disks in drives");
            disks[i] = Json(disks[i]["size"]);
        }
        return {};
    }

    // A drive in QEMU's options becomes an entry of `drives` if it sets only what our drives support.
    Result<> drives() {
        Json *qemu = group_of("qemu");
        if (qemu == nullptr || !qemu->contains("drives")) return {};
        const Json drives = (*qemu)["drives"];
        qemu->erase("drives");
        if (!drives.is_array()) return refuse("/qemu/drives", "must be a list of objects");
        for (size_t i = 0; i < drives.size(); ++i)
            if (auto added = add_drive(drives[i], std::format("/qemu/drives/{}", i)); !added) return added;
        return {};
    }

    // NixOS has already written texts to files, so `source` is enough.
    Result<> credentials() {
        if (!all_.contains("credentials") || !all_["credentials"].is_object()) return {};
        for (auto &[name, credential] : all_["credentials"].items()) {
            if (!credential.is_object()) continue;
            if (!credential.contains("source") || credential["source"].is_null())
                return refuse("/credentials/" + pointer_token(name) + "/source", "missing; must be a string: a file of the host");
            credential.erase("text");
            credential.erase("mechanism");
        }
        return {};
    }

  private:
    [[nodiscard]] std::unexpected<base::Error> refuse(const std::string &path, std::string_view why) const {
        return fail(0, origin_, path, std::string(why));
    }

    Json *group_of(std::string_view name) {
        if (name.empty()) return &all_;
        const auto found = all_.find(name);
        return found != all_.end() && found->is_object() ? &*found : nullptr;
    }

    Result<> move(const char *group, const char *key, const char *to_group, const char *to, const std::string &end) {
        Json *set = group_of(group);
        if (set == nullptr || !set->contains(key)) return {};
        const std::string here = std::format("/{}/{}", group, key);
        const Json value = (*set)[key];
        set->erase(key);
        if (!value.is_string()) return refuse(here, "must be a string");
        Json *target = group_of(to_group);
        if (target->contains(to)) return refuse(here, std::format("given twice; {} is the same option", to));
        (*target)[to] = value.get<std::string>() + end;
        return {};
    }

    static bool says_nothing(const Json &value) {
        if (value.is_object())
            return std::ranges::all_of(value.items(), [](const auto &item) { return says_nothing(item.value()); });
        return value.is_null() || value == "" || (value.is_array() && value.empty());
    }

    Result<> add_drive(const Json &drive, const std::string &here) {
        if (!drive.is_object() || !drive.contains("file") || !drive["file"].is_string())
            return refuse(here + "/file", "missing; must be a string: the image");
        const std::string file = drive["file"];
        // NixOS's own drives, in its script's syntax. runvm makes the root disk and the empty disks itself.
        if (file == "\"$NIX_DISK_IMAGE\"" || file.starts_with("$(pwd)/empty")) return {};
        if (file.find_first_of("$`") != std::string::npos)
            return refuse(here + "/file", "shell expansions ($ or `) are not supported");
        Json ours{{"file", file}};
        for (const auto &[key, value] : drive.items()) {
            // QEMU alone uses the name.
            if (key == "file" || key == "name" || says_nothing(value)) continue;
            const std::string set = here + "/" + pointer_token(key);
            if (key != "driveExtraOpts" && key != "deviceExtraOpts") return refuse(set, "no such option");
            if (!value.is_object()) return refuse(set, "must be an object");
            for (const auto &[option, said] : value.items())
                if (auto taken = take_drive_option(ours, key, option, said); !taken)
                    return refuse(set + "/" + pointer_token(option), taken.error());
        }
        Json &all = all_["drives"];
        if (all.is_null()) all = Json::array();
        if (!all.is_array()) return refuse("/drives", "must be a list of objects");
        all.push_back(std::move(ours));
        return {};
    }

    // Error: the reason.
    static std::expected<void, std::string> take_drive_option(Json &ours, std::string_view set, std::string_view option,
                                                              const Json &said) {
        if (!said.is_string()) return std::unexpected("must be a string");
        const bool of_device = set == "deviceExtraOpts";
        if (of_device && option == "serial")
            ours["serial"] = said;
        else if (!of_device && option == "format")
            ours["format"] = said;
        else if (!of_device && option == "readonly" && (said == "on" || said == "off"))
            ours["readOnly"] = said == "on";
        else if (of_device || !((option == "cache" && said == "writeback") || (option == "werror" && said == "report")))
            return std::unexpected("only format, readonly and serial are supported; pass other options to QEMU in qemu.options");
        return {};
    }

    Json &all_;
    const std::string &origin_;
};

}  // namespace

base::Result<> in_our_words(Json &description, const std::string &origin) {
    if (!description.is_object()) return {};
    Words words(description, origin);
    for (const auto step : {&Words::drop_obeyed, &Words::rename, &Words::sizes_of_disks, &Words::drives, &Words::credentials})
        if (auto done = (words.*step)(); !done) return done;
    return {};
}

}  // namespace hostside
