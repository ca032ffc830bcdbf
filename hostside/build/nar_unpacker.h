// Unpacks a NAR while it arrives as a stream. It comes from a guest, so every word, name, order and depth is checked, existing
// files are never opened or followed, and anything that Nix would not write is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/allowance.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/nix/nar.h"
#include "mounts/nix/sha256.h"

namespace hostside {

class NarUnpacker {
  public:
    // Creates `name`, which must not exist, in `directory`, within the allowance. The descriptor and the allowance are
    // borrowed.
    NarUnpacker(int directory, std::string name, Allowance &allowance)
        : root_(directory), name_(std::move(name)), allowance_(allowance) {}

    // EEXIST, ENOSPC, EFBIG and others: something could not be created. Without errno: not a NAR.
    base::Result<> take(std::string_view bytes);
    [[nodiscard]] bool whole() const { return want_ == Want::nothing; }
    // Of a complete NAR: the hash that Nix registers, and the data after it, at most `trailer_limit_bytes`.
    mounts::NarHash hash() { return {hash_.finish(), size_bytes_}; }
    [[nodiscard]] const std::string &trailer() const { return waiting_; }

    static constexpr size_t trailer_limit_bytes = 4096, depth_limit = 256;

  private:
    // The next word of the archive.
    enum class Want {
        magic,
        node_begin,
        type_word,
        type,
        file_word,
        executable_value,
        contents_word,
        contents,
        target_word,
        target,
        node_end,
        entry_or_end,
        entry_begin,
        name_word,
        name,
        node_word,
        entry_end,
        nothing
    };

    base::Result<> next(bool &more);
    base::Result<> word(std::string_view text);
    base::Result<> expect(std::string_view text, std::string_view expected, Want then);
    base::Result<> begin_node(std::string_view type);
    base::Result<> begin_file(uint64_t length);
    base::Result<> file_bytes(bool &more);
    base::Result<> make_symlink(const std::string &target);
    base::Result<> begin_directory();
    base::Result<> take_name(std::string_view name);
    void end_node();
    void consume(size_t count);
    [[nodiscard]] int parent() const { return levels_.empty() ? root_ : levels_.back().directory.get(); }
    [[nodiscard]] std::unexpected<base::Error> bad(std::string_view why) const;

    struct Level {
        base::Fd directory;
        std::string name;  // its own name, in its parent
        std::string last;  // name of its last entry
    };

    int root_;
    std::string name_;  // of the current node
    Allowance &allowance_;
    std::vector<Level> levels_;
    std::string waiting_;
    size_t at_ = 0;  // in waiting_
    Want want_ = Want::magic;
    base::Fd file_;
    uint64_t left_ = 0, padding_ = 0;
    bool executable_ = false;
    mounts::Sha256Stream hash_;
    uint64_t size_bytes_ = 0;
};

}  // namespace hostside
