// The floor of bench-boot: an init that makes the system calls which no stage 1 can do without, on an existing disk, and
// nothing else: no table, no probe, no log, no report, and the initramfs stays. What it takes is the kernel's own part.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

char command_line[4096], modules[65536];

void read_text(const char *path, char *text, size_t size) {
    const int fd = ::open(path, O_RDONLY);
    const ssize_t n = ::read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    ::close(fd);
}

[[noreturn]] void fail(const char *what) {
    std::perror(what);
    std::abort();
}

void mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *options) {
    ::mkdir(target, 0755);
    if (::mount(source, target, type, flags, options) < 0) fail(target);
}

void mark(const char *line) {
    const int kmsg = ::open("/dev/kmsg", O_WRONLY);
    if (::write(kmsg, line, std::strlen(line)) < 0) fail(line);
    ::close(kmsg);
}

// One path a line, in an order that works.
void load_modules() {
    read_text("/etc/insmod.list", modules, sizeof modules);
    for (char *path = std::strtok(modules, "\n"); path != nullptr; path = std::strtok(nullptr, "\n")) {
        const int fd = ::open(path, O_RDONLY);
        if (::syscall(SYS_finit_module, fd, "", 0) < 0) fail(path);
        ::close(fd);
    }
}

void mount_store(const char *store_union) {
    const char *options = "trans=virtio,version=9p2000.L,msize=512000,cache=loose";
    ::mkdir("/mnt-root/nix", 0755);
    if (std::strcmp(store_union, "off") == 0) return mount_at("store", "/mnt-root/nix/store", "9p", MS_RDONLY, options);
    mount_at("store", "/mnt-root/nix/.ro-store", "9p", MS_RDONLY, options);
    ::mkdir("/mnt-root/nix/.rw-store", 0755);
    if (std::strcmp(store_union, "tmpfs") == 0) mount_at("tmpfs", "/mnt-root/nix/.rw-store", "tmpfs", 0, "mode=755");
    ::mkdir("/mnt-root/nix/.rw-store/upper", 0755);
    ::mkdir("/mnt-root/nix/.rw-store/work", 0755);
    mount_at("overlay", "/mnt-root/nix/store", "overlay", 0,
             "lowerdir=/mnt-root/nix/.ro-store,upperdir=/mnt-root/nix/.rw-store/upper,workdir=/mnt-root/nix/.rw-store/work");
}

}  // namespace

int main() {
    mount_at("proc", "/proc", "proc", 0, "");
    mount_at("sysfs", "/sys", "sysfs", 0, "");
    if (::access("/dev/null", F_OK) < 0) mount_at("devtmpfs", "/dev", "devtmpfs", 0, "mode=0755");
    mount_at("tmpfs", "/run", "tmpfs", 0, "mode=0755");
    read_text("/proc/cmdline", command_line, sizeof command_line);
    const char *init = "", *store_union = "off";
    for (char *word = std::strtok(command_line, " \n"); word != nullptr; word = std::strtok(nullptr, " \n")) {
        if (std::strncmp(word, "init=", 5) == 0) init = word + 5;
        if (std::strncmp(word, "stage1.union=", 13) == 0) store_union = word + 13;
    }
    mark("floor: modules\n");
    load_modules();
    mark("floor: mounts\n");
    mount_at("/dev/vda", "/mnt-root", "ext4", 0, "");
    for (const char *place :
         {"/mnt-root/tmp", "/mnt-root/etc", "/mnt-root/proc", "/mnt-root/sys", "/mnt-root/dev", "/mnt-root/run"})
        ::mkdir(place, 0755);
    ::chmod("/mnt-root/tmp", 01777);
    ::close(::open("/mnt-root/etc/NIXOS", O_WRONLY | O_CREAT, 0644));
    mount_store(store_union);
    for (const char *tag : {"xchg", "shared"}) {
        char target[64];
        std::snprintf(target, sizeof target, "/mnt-root/tmp/%s", tag);
        mount_at(tag, target, "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=mmap");
    }
    for (const char *place : {"/proc", "/sys", "/dev", "/run"}) {
        char target[64];
        std::snprintf(target, sizeof target, "/mnt-root%s", place);
        if (::mount(place, target, nullptr, MS_MOVE, nullptr) < 0) fail(target);
    }
    if (::chdir("/mnt-root") < 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0 || ::chroot(".") < 0) fail("root");
    ::execl(init, init, nullptr);
    fail(init);
}
