// The folder of one run: xchg and what else lives as long as the machine. 0700, gone afterwards.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

class RunDirectory {
  public:
    // Empty `given`: a fresh folder under XDG_RUNTIME_DIR or TMPDIR, removed by the destructor. Else that folder, which
    // is the user's and stays.
    static base::Result<RunDirectory> make(const std::string &given);
    RunDirectory(RunDirectory &&other) noexcept;
    RunDirectory &operator=(RunDirectory &&) = delete;
    RunDirectory(const RunDirectory &) = delete;
    RunDirectory &operator=(const RunDirectory &) = delete;
    ~RunDirectory();

    [[nodiscard]] const std::string &path() const { return path_; }
    [[nodiscard]] std::string xchg() const { return path_ + "/xchg"; }

  private:
    RunDirectory(std::string path, bool own) : path_(std::move(path)), own_(own) {}
    std::string path_;
    bool own_;
};

}  // namespace hostside
