// A NAR that comes as a stream, unpacked while it comes. A guest sent it, so every word, name, order and depth is checked,
// nothing that is there is opened or followed, and what is not an archive as Nix writes it is refused.
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
    // Makes `name`, which is not there yet, in `directory`, no more than is allowed (both borrowed).
    NarUnpacker(int directory, std::string name, Allowance &allowance)
        : root_(directory), name_(std::move(name)), allowance_(allowance) {}

    // EEXIST, ENOSPC, EFBIG and the like: what could not be made. Without an errno: no NAR.
    base::Result<> take(std::string_view bytes);
    [[nodiscard]] bool whole() const { return want_ == Want::nothing; }
    // Of a whole one: what Nix registers of it, and what came behind it, of at most `trailer_limit_bytes`.
    mounts::NarHash hash() { return {hash_.finish(), size_bytes_}; }
    [[nodiscard]] const std::string &trailer() const { return waiting_; }

    static constexpr size_t trailer_limit_bytes = 4096, depth_limit = 256;

  private:
    // What the next word of the archive is.
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
        std::string name;  // its own, in its parent
        std::string last;  // of its entries
    };

    int root_;
    std::string name_;  // of the node that is read
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
