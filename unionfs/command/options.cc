#include "unionfs/command/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace unionfs {

using base::fail;
using base::Result;

const char *const options_help =
    "usage: unionfs [-f] [-d] [-o OPTIONS] BRANCH=RW:BRANCH=RO… MOUNTPOINT\n"
    "       unionfs [-f] [-d] -o lowerdir=A:B,upperdir=C,workdir=D[,OPTIONS] [SOURCE] MOUNTPOINT\n"
    "\n"
    "  lowerdir=A:B       read-only branches, topmost first; write a colon in a name as `\\:`\n"
    "  upperdir=DIR       directory that takes the changes; without it, the union is read-only\n"
    "  workdir=DIR        an empty directory beside the upper, on the same file system\n"
    "  cow                allow changes to files of read-only branches, by copying them up\n"
    "  mode=auto|store|throughput\n"
    "                     store: warm opens and reads cost no message; throughput: the kernel itself reads and\n"
    "                     writes the backing files\n"
    "  io_uring=on|off    on: requests cost less, but the mount is lost if its daemon crashes (default: off)\n"
    "  max_files=N        keep at most N descriptors open (default: 4096)\n"
    "  submounts=hide|follow\n"
    "                     hide mounts on a lower, as overlayfs does (default), or show them\n"
    "  chroot=DIR         branch paths are relative to DIR and can't leave it\n"
    "  allow_other        let other users access the mount\n"
    "  nonempty           allow a mount point that is not empty\n"
    "  hide_meta_files    don't show .unionfs* and .fuse_hidden* of the branches\n"
    "  stale_readers      with throughput, the kernel reads lower files itself too. A process that has one open for\n"
    "                     reading when it is first changed keeps reading the old content\n"
    "  trace=FILE         append each name of the root to FILE at its first use: a file when it is looked up, a directory\n"
    "                     when it is read or something in it is looked up\n"
    "  volatile           don't wait for copies to reach the disk; a power cut may leave them empty\n"
    "  userxattr          put overlayfs marks in user.overlay.* instead of trusted.overlay.*\n"
    "  -f                 stay in the foreground\n"
    "  -d                 like -f, and log every request\n"
    "  --version          print the version\n";

namespace {

// Splits at `separator`. A backslash escapes a separator or a backslash.
std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == separator || text[i + 1] == '\\')) {
            parts.back() += text[++i];
        } else if (text[i] == separator) {
            parts.emplace_back();
        } else {
            parts.back() += text[i];
        }
    }
    return parts;
}

Result<> parse_branches(std::string_view text, Options &options) {
    for (const std::string &branch : split(text, ':')) {
        const size_t equals = branch.rfind('=');
        std::string path = branch.substr(0, equals);
        const std::string kind = equals == std::string::npos ? "RO" : branch.substr(equals + 1);
        if (path.empty()) return fail(0, "branch", branch, "has no directory");
        if (kind == "RW" || kind == "rw") {
            if (!options.upper.empty()) return fail(0, "branch", branch, "is a second RW branch; only one is allowed");
            if (!options.lowers.empty()) return fail(0, "branch", branch, "the RW branch must come first");
            options.upper = std::move(path);
        } else if (kind == "RO" || kind == "ro") {
            options.lowers.push_back(std::move(path));
        } else {
            return fail(0, "branch", branch, "expected =RW or =RO");
        }
    }
    return {};
}

Result<> parse_value(const std::string &name, const std::string &value, Options &options) {
    if (value.empty()) return fail(0, "option", name, "needs a value");
    if (name == "lowerdir") {
        options.lowers = split(value, ':');
        if (std::ranges::any_of(options.lowers, &std::string::empty))
            return fail(0, "option", name, "has an empty directory name");
    } else if (name == "upperdir") {
        options.upper = value;
    } else if (name == "workdir") {
        options.work = value;
    } else if (name == "chroot") {
        options.chroot = value;
    } else if (name == "fsname") {
        options.source = value;
    } else if (name == "dirs") {
        return parse_branches(value, options);
    } else if (name == "trace") {
        options.trace = value;
    } else if (name == "max_files") {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.max_files);
        if (error != std::errc{} || end != value.data() + value.size() || options.max_files < 64)
            return fail(0, "option", "max_files=" + value, "expected a number of at least 64");
    } else if (name == "mode") {
        if (value == "auto")
            options.mode = Mode::automatic;
        else if (value == "store")
            options.mode = Mode::store;
        else if (value == "throughput")
            options.mode = Mode::throughput;
        else
            return fail(0, "option", "mode=" + value, "expected auto, store or throughput");
    } else if (name == "submounts") {
        if (value != "hide" && value != "follow") return fail(0, "option", "submounts=" + value, "expected hide or follow");
        options.submounts = value == "hide" ? Submounts::hide : Submounts::follow;
    } else if (name == "io_uring") {
        if (value != "on" && value != "off") return fail(0, "option", "io_uring=" + value, "expected on or off");
        options.io_uring = value == "on";
    } else if (name != "subtype") {  // libfuse's callers pass it; ours is always unionfs
        return fail(0, "option", name, "is unknown; `-o help` lists all options");
    }
    return {};
}

Result<> parse_word(const std::string &word, Options &options, bool &cow_given) {
    static constexpr std::array kernel_words{"ro",      "rw",         "suid",        "nosuid",  "dev",
                                             "nodev",   "exec",       "strictatime", "noexec",  "atime",
                                             "noatime", "nodiratime", "relatime",    "dirsync", "sync"};
    // Options that mount(8) and fstab carry for others, and options that always hold here.
    static constexpr std::array ignored{
        "defaults",       "auto",  "noauto",          "nofail",    "user",   "users", "_netdev", "default_permissions",
        "statfs_omit_ro", "async", "redirect_dir=on", "index=off", "use_ino"};
    if (word == "cow")
        cow_given = true;
    else if (word == "allow_other")
        options.allow_other = true;
    else if (word == "nonempty")
        options.nonempty = true;
    else if (word == "hide_meta_files" || word == "hide_meta_dir")
        options.hide_meta_files = true;
    else if (word == "volatile")
        options.is_volatile = true;
    else if (word == "stale_readers")
        options.stale_readers = true;
    else if (word == "userxattr")
        options.user_xattr = true;
    else if (word == "remount")
        options.remount = true;
    else if (word == "debug")
        options.debug = options.foreground = true;
    else if (word == "help")
        options.help = true;
    else if (std::ranges::contains(kernel_words, word))
        options.for_mount.push_back(word);
    else if (word.empty() || word.starts_with("x-") || std::ranges::contains(ignored, word))
        return {};
    else if (const size_t equals = word.find('='); equals != std::string::npos)
        return parse_value(word.substr(0, equals), word.substr(equals + 1), options);
    else
        return fail(0, "option", word, "is unknown; `-o help` lists all options");
    return {};
}

Result<> place_words(const std::vector<std::string> &words, Options &options, bool cow_given) {
    if (words.empty()) return fail(0, "unionfs", "", "no mount point given; see `-o help`");
    if (words.size() > 2) return fail(0, "unionfs", words[2], "unexpected argument");
    options.mountpoint = words.back();
    if (!options.lowers.empty() || !options.upper.empty()) {
        if (words.size() == 2 && options.source == "unionfs") options.source = words[0];
    } else if (words.size() == 2) {
        if (auto result = parse_branches(words[0], options); !result) return result;
        options.copy_on_write = cow_given;
    }
    if (options.remount) return {};
    if (options.lowers.empty() && options.upper.empty()) return fail(0, "unionfs", options.mountpoint, "no branch given");
    if (!options.work.empty() && options.upper.empty()) return fail(0, "option", "workdir", "needs an upperdir");
    return {};
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string> &arguments) {
    Options options;
    std::vector<std::string> words;
    bool cow_given = false;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string &argument = arguments[i];
        std::string list;
        if (argument == "-o") {
            if (++i == arguments.size()) return fail(0, "option", "-o", "needs a value");
            list = arguments[i];
        } else if (argument.starts_with("-o")) {
            list = argument.substr(2);
        } else if (argument == "-f") {
            options.foreground = true;
        } else if (argument == "-d") {
            options.debug = options.foreground = true;
        } else if (argument == "-h" || argument == "--help") {
            options.help = true;
        } else if (argument == "-V" || argument == "--version") {
            options.version = true;
        } else if (argument == "-s" || argument == "-v" || argument == "-n") {
            continue;  // mount(8) passes sloppy, verbose and no-mtab to its helpers
        } else if (argument.starts_with('-') && argument.size() > 1) {
            return fail(0, "option", argument, "is unknown; `-o help` lists all options");
        } else {
            words.push_back(argument);
        }
        if (list.empty()) continue;
        for (const std::string &word : split(list, ','))
            if (auto result = parse_word(word, options, cow_given); !result) return std::unexpected(result.error());
    }
    if (options.help || options.version) return options;
    if (auto result = place_words(words, options, cow_given); !result) return std::unexpected(result.error());
    return options;
}

}  // namespace unionfs
