// Writes a SQLite database file from rows in the order of their keys. Fills each page and writes it once, without a journal, a
// search or balancing. Does not run SQLite, which costs more than the work itself on an emulated machine. The result is
// SQLite's file format 4 (https://sqlite.org/fileformat2.html) with 4096-byte pages, UTF-8 and a write-ahead log as journal
// mode. SQLite then reads and changes the file. Rows longer than 1000 bytes are not supported, because there are no overflow
// pages.
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

// The values of a row or index entry in SQLite's record format: a header with each value's type, then the values. At most 15
// bytes of types and 1000 bytes of values; a longer text throws.
class Record {
  public:
    Record &null() { return type(0); }
    Record &integer(int64_t value);
    Record &text(std::string_view value);
    // The encoded record; valid until the next value, which starts a new record.
    std::string_view take();

  private:
    static constexpr size_t header_bytes = 16;
    Record &type(uint64_t number);

    unsigned __int128 types_ = 0;  // the header as a big-endian number
    size_t type_bytes_ = 0, value_bytes_ = 0;
    std::array<char, 1024> encoded_{};  // the header right before the values; these start at header_bytes
};

class Page {
  public:
    enum class Kind : uint8_t { index_inner = 2, table_inner = 5, index_leaf = 10, table_leaf = 13 };
    // `skip_bytes`: the size of the file's header, on the first page.
    explicit Page(Kind kind, size_t skip_bytes = 0);

    [[nodiscard]] size_t room_bytes() const { return begin_bytes_ - pointers_bytes_; }
    [[nodiscard]] static size_t cost_bytes(size_t cell_bytes) { return cell_bytes + 2; }  // for a cell and its pointer
    // Where to write one more cell; null: the page is full.
    char *add(size_t cell_bytes);
    std::string take_last();  // removes and returns the last cell
    void set_right_child(uint32_t page);
    [[nodiscard]] std::string_view bytes();

  private:
    std::array<char, page_bytes> data_{};
    size_t skip_bytes_, pointers_bytes_;  // where the header begins and the pointers end
    size_t begin_bytes_ = page_bytes;     // where the cells begin, last cell first
    size_t last_bytes_ = 0, cells_ = 0;
};

// Adds a row to a table's leaf. False: the page is full. Row ids are at least 1 and below 2^56.
bool put_row(Page &page, int64_t row, std::string_view record);

// Writes the file: pages from 2 on in order, then the first page, because it says where the others are.
class PageFile {
  public:
    PageFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}  // `fd`: borrowed, empty

    // Returns the page's number. finish() reports a failed write.
    uint32_t append(Page &page);
    // `schema`: page 1, the leaf of the table sqlite_master.
    base::Result<> finish(Page &schema);

  private:
    void flush();
    int fd_;
    std::string name_, pending_;
    uint32_t written_ = 1;  // pages before the pending ones; page 1 is written last
    int failure_ = 0;       // errno
};

// A table or an index. Add rows in ascending order.
class Tree {
  public:
    enum class Kind : uint8_t { table, index };
    Tree(PageFile &file, Kind kind);
    void add(int64_t row, std::string_view record);  // for a table
    void add(std::string_view record);               // for an index
    uint32_t finish();                               // returns the root's page number

  private:
    struct Child {
        uint32_t page;
        std::string divider;  // separates it from the next child: a row id, or an index entry
    };
    std::vector<Child> level_above(const std::vector<Child> &children);

    PageFile *file_;
    Kind kind_;
    Page page_;
    int64_t last_row_ = 0;
    std::vector<Child> children_;
};

}  // namespace stage1::nixdb
