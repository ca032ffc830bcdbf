// A QEMU plugin for bench-boot: counts the guest's instructions, those of user space and those of the kernel apart, from
// the first one at `start` to the first one at `stop`, and writes what they were at each pass through `mark`. Exact,
// where -icount's clock also counts what an idle processor waits for.
//
// -plugin instructions.so,start=HEX,stop=HEX,mark=HEX,out=FILE; one processor, and no random addresses (nokaslr).
// The file: a line for each mark and one for the end, `USER KERNEL`. What of QEMU's plugin interface is used is declared
// here (qemu-plugin.h, version 2), for Debian has no package with it.

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define EXPORT extern "C" __attribute__((visibility("default")))

struct qemu_plugin_tb;
using TranslationCallback = void (*)(uint64_t id, qemu_plugin_tb *block);
using ExecutionCallback = void (*)(unsigned cpu, void *data);
extern "C" {
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, TranslationCallback callback);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb *block, ExecutionCallback callback, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb *block);
}

EXPORT int qemu_plugin_version;
int qemu_plugin_version = 2;

namespace {

struct Block {
    uint64_t address, instructions;
};

uint64_t start, stop, mark;
uint64_t count[2];  // of user space, of the kernel
bool counting, over;
FILE *out;

void write_line() { std::fprintf(out, "%" PRIu64 " %" PRIu64 "\n", count[0], count[1]); }

void executed(unsigned /*cpu*/, void *data) {
    const auto *block = static_cast<const Block *>(data);
    if (!counting) {
        if (over || block->address != start) return;
        counting = true;
    }
    if (block->address == mark) write_line();
    if (block->address == stop) {
        write_line();
        (void)std::fflush(out);
        counting = false;
        over = true;
        return;
    }
    count[block->address >> 63] += block->instructions;
}

// QEMU keeps the pointer for as long as it runs.
void translated(uint64_t /*id*/, qemu_plugin_tb *block) {
    auto *known = static_cast<Block *>(std::malloc(sizeof(Block)));
    if (known == nullptr) std::abort();
    *known = {qemu_plugin_tb_vaddr(block), qemu_plugin_tb_n_insns(block)};
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, known);
}

}  // namespace

EXPORT int qemu_plugin_install(uint64_t id, const void * /*info*/, int argc, char **argv) {
    for (int i = 0; i < argc; ++i) {
        const char *value = std::strchr(argv[i], '=');
        if (value == nullptr) return -1;
        const uint64_t address = std::strtoull(++value, nullptr, 16);
        if (std::strncmp(argv[i], "start=", 6) == 0) start = address;
        if (std::strncmp(argv[i], "stop=", 5) == 0) stop = address;
        if (std::strncmp(argv[i], "mark=", 5) == 0) mark = address;
        if (std::strncmp(argv[i], "out=", 4) == 0) out = std::fopen(value, "we");
    }
    if (start == 0 || stop == 0 || mark == 0 || out == nullptr) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
