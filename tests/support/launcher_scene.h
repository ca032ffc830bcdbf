// The real launcher in an environment in which one thing is wrong, for tests of its messages. QEMU is a script.
#pragma once

#include <stdlib.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "mounts/base/process.h"

namespace support {

inline void script(const std::filesystem::path &path, const std::string &body) {
    namespace fs = std::filesystem;
    std::ofstream(path) << "#!/bin/sh\n" << body << '\n';
    fs::permissions(path, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read |
                              fs::perms::others_exec);
}

inline const std::string version_10 =
    "[ \"$1\" = --version ] && { echo 'QEMU emulator version 10.0.0'; exit; }\n"
    "[ \"$*\" = '-sandbox on -machine help' ] && exit\n"
    "[ \"$1\" = -help ] && exit\n";

// A directory with everything that a machine needs; each test removes one thing.
class Scene {
    using Path = std::filesystem::path;
    std::string directory_ = (std::filesystem::temp_directory_path() / "errors-XXXXXX").string();

  public:
    Scene() {
        REQUIRE(::mkdtemp(directory_.data()) != nullptr);
        std::filesystem::permissions(directory_, std::filesystem::perms::all);  // another user must be able to reach its content
        for (const char *name : {"bin", "empty", "run", "cache", "store"})
            std::filesystem::create_directory(directory_ / Path(name));
        std::filesystem::permissions(at("run"), std::filesystem::perms::owner_all);
        script(at("bin/qemu-system-x86_64"), version_10 + "exit 0");
        // Writes the start of an image like qemu-img, and fails.
        script(at("bin/qemu-img"),
               "for last; do :; done\nfor file; do case $file in */*) { printf 'QFI\\373'; head -c 65536 /dev/zero; } >\"$file\" "
               "|| exit 1; exit;; esac; done");
        environment = {"PATH=" + at("bin") + ":/usr/bin:/bin", "XDG_RUNTIME_DIR=" + at("run"), "XDG_CACHE_HOME=" + at("cache")};
        std::ofstream(at("kernel")) << "\x7f" << "ELF";
        std::ofstream(at("initrd")) << "initrd";
    }
    ~Scene() {
        std::error_code error;
        std::filesystem::remove_all(directory_, error);
    }
    Scene(const Scene &) = delete;
    Scene &operator=(const Scene &) = delete;

    [[nodiscard]] std::string at(const std::string &name) const { return directory_ + "/" + name; }

    std::vector<std::string> environment = {};
    std::vector<std::string> before = {};  // a program that starts the launcher

    [[nodiscard]] std::vector<std::string> command(const std::vector<std::string> &arguments, bool whole = true) const {
        std::vector<std::string> argv = before;
        argv.push_back((std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string());
        if (whole || arguments.empty() || arguments[0] != "check") argv.emplace_back("run");
        if (whole)
            argv.insert(argv.end(), {"--accel", "tcg", "--store", at("store"), "--kernel", at("kernel"), "--initrd", at("initrd"),
                                     "--disk-image", ""});
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return argv;
    }

    // The launcher's output, with S in place of this scene's directory.
    std::string said(const std::vector<std::string> &arguments, int status = 124, bool whole = true) const {
        const auto exit = base::run({.argv = command(arguments, whole), .environment = environment, .capture_output = true});
        if (!exit) return base::message(exit.error());
        CHECK(exit->status == status);
        std::string text = exit->output;
        for (size_t i = text.find(directory_); i != std::string::npos; i = text.find(directory_))
            text.replace(i, directory_.size(), "S");
        return text;
    }
};

}  // namespace support
