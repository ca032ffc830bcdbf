// Writes a SQLite database file out of rows that come in the order of their keys. Each page is filled to its end and
// written once: no journal, no search, no balancing, and none of SQLite's code is run for it, which on an emulated machine
// costs more than the work. What it makes is SQLite's file format 4, as https://sqlite.org/fileformat2.html has it, with
// 4096-byte pages, UTF-8 and the write-ahead log as journal mode; SQLite itself is what reads and changes it afterwards.
// Not for rows longer than 1000 bytes: it knows no overflow pages.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace stage1::nixdb {

inline constexpr size_t page_bytes = 4096;
inline constexpr size_t file_header_bytes = 100;  // at the beginning of the first page

// The values of a row or an index entry, one after the other, in SQLite's record format: a header with each value's type,
// then the values. At most 15 bytes of types; 1000 bytes of values, and a text beyond that throws.
class Record {
  public:
    Record &null() { return type(0); }
    Record &integer(int64_t value);
    Record &text(std::string_view value);
    // What it is encoded as, until the next value, which begins a new record.
    std::string_view take();

  private:
    static constexpr size_t header_bytes = 16;
    Record &type(uint64_t number);

    unsigned __int128 types_ = 0;  // the header as a big-endian number
    size_t type_bytes_ = 0, value_bytes_ = 0;
    std::array<char, 1024> encoded_{};  // the header right before the values, which begin at header_bytes
};

class Page {
  public:
    enum class Kind : uint8_t { index_inner = 2, table_inner = 5, index_leaf = 10, table_leaf = 13 };
    // `skip_bytes`: of the file's header, on the first page.
    explicit Page(Kind kind, size_t skip_bytes = 0);

    [[nodiscard]] size_t room_bytes() const { return begin_bytes_ - pointers_bytes_; }
    [[nodiscard]] static size_t cost_bytes(size_t cell_bytes) { return cell_bytes + 2; }  // of a cell and its pointer
    // Where one more cell is to be written; null: there is no room for it.
    char *add(size_t cell_bytes);
    std::string take_last();  // the last cell, which goes
    void set_right_child(uint32_t page);
    [[nodiscard]] std::string_view bytes();

  private:
    std::array<char, page_bytes> data_{};
    size_t skip_bytes_, pointers_bytes_;  // where the header begins, and the pointers end
    size_t begin_bytes_ = page_bytes;     // where the cells begin, the last one first
    size_t last_bytes_ = 0, cells_ = 0;
};

// A row onto a table's leaf; false: there is no room for it. Rows count from 1 and are below 2^56.
bool put_row(Page &page, int64_t row, std::string_view record);

// The file: pages from 2 on as they come; the first one last, because it says where the others are.
class PageFile {
  public:
    PageFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}  // borrowed; empty

    // The page's number. A write that fails is told by finish().
    uint32_t append(Page &page);
    // `schema`: page 1, the leaf of the table sqlite_master.
    base::Result<> finish(Page &schema);

  private:
    void flush();
    int fd_;
    std::string name_, pending_;
    uint32_t written_ = 1;  // pages before the pending ones; 1 is yet to come
    int failure_ = 0;       // errno
};

// A table or an index, fed in ascending order.
class Tree {
  public:
    enum class Kind : uint8_t { table, index };
    Tree(PageFile &file, Kind kind);
    void add(int64_t row, std::string_view record);  // to a table
    void add(std::string_view record);               // to an index
    uint32_t finish();                               // its root's page number

  private:
    struct Child {
        uint32_t page;
        std::string divider;  // what stands between it and the next: a row id, or an index's entry
    };
    std::vector<Child> level_above(const std::vector<Child> &children);

    PageFile *file_;
    Kind kind_;
    Page page_;
    int64_t last_row_ = 0;
    std::vector<Child> children_;
};

}  // namespace stage1::nixdb
