#include "stage1/nixdb/sqlite_file.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace stage1::nixdb {

namespace {

constexpr size_t leaf_header_bytes = 8;
constexpr size_t inner_header_bytes = 12;
constexpr size_t pending_limit_bytes = 16 * page_bytes;
constexpr uint32_t written_by_version = 3'046'001;  // the version of SQLite that this code follows

template <size_t bytes>
void put_big_endian(char *at, uint64_t value) {
    for (size_t i = bytes; i-- > 0; value >>= 8) at[i] = static_cast<char>(value & 0xff);
}

// Seven bits per byte, highest first; all bytes but the last have the top bit set. For values below 2^56, where the encoding
// changes.
class Varint {
  public:
    explicit Varint(uint64_t value) {
        digits_[--begin_] = static_cast<char>(value & 0x7f);
        while ((value >>= 7) != 0) digits_[--begin_] = static_cast<char>(0x80 | (value & 0x7f));
    }
    [[nodiscard]] std::string_view bytes() const { return {digits_.data() + begin_, digits_.size() - begin_}; }

  private:
    std::array<char, 8> digits_{};
    size_t begin_ = digits_.size();
};

// Writes a cell: the record's size, the row id (in a table), the record. False: the page is full.
bool put_cell(Page &page, std::string_view row, std::string_view record) {
    const Varint size(record.size());
    char *at = page.add(size.bytes().size() + row.size() + record.size());
    if (at == nullptr) return false;
    at = std::ranges::copy(size.bytes(), at).out;
    at = std::ranges::copy(row, at).out;
    std::memcpy(at, record.data(), record.size());
    return true;
}

}  // namespace

Record &Record::type(uint64_t number) {
    for (const char digit : Varint(number).bytes()) types_ = types_ << 8 | static_cast<unsigned char>(digit);
    type_bytes_ += number > 0x7f ? 2 : 1;
    return *this;
}

// 0 and 1 have their own types without bytes. Other values use the fewest of 1, 2, 3, 4, 6 or 8 bytes, including the sign.
Record &Record::integer(int64_t value) {
    if (value == 0 || value == 1) return type(value == 0 ? 8 : 9);
    constexpr std::pair<size_t, unsigned> sizes[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {6, 5}, {8, 6}};
    const auto magnitude = static_cast<uint64_t>(value < 0 ? ~value : value);
    const auto bits = static_cast<size_t>(std::bit_width(magnitude)) + 1;
    const auto [bytes, number] = *std::ranges::find_if(sizes, [&](const auto &size) { return bits <= 8 * size.first; });
    put_big_endian<8>(encoded_.data() + header_bytes + value_bytes_, static_cast<uint64_t>(value) << (64 - 8 * bytes));
    value_bytes_ += bytes;
    return type(number);
}

Record &Record::text(std::string_view value) {
    if (header_bytes + value_bytes_ + value.size() + sizeof(uint64_t) > encoded_.size())
        throw std::length_error("a row longer than a page of the Nix database has room for");
    std::memcpy(encoded_.data() + header_bytes + value_bytes_, value.data(), value.size());
    value_bytes_ += value.size();
    return type(2 * value.size() + 13);
}

// The size of the header includes its own byte.
std::string_view Record::take() {
    types_ |= static_cast<unsigned __int128>(type_bytes_ + 1) << 8 * type_bytes_;
    put_big_endian<8>(encoded_.data(), static_cast<uint64_t>(types_ >> 64));
    put_big_endian<8>(encoded_.data() + 8, static_cast<uint64_t>(types_));
    const std::string_view record(encoded_.data() + header_bytes - type_bytes_ - 1, type_bytes_ + 1 + value_bytes_);
    types_ = 0;
    type_bytes_ = value_bytes_ = 0;
    return record;
}

Page::Page(Kind kind, size_t skip_bytes)
    : skip_bytes_(skip_bytes),
      pointers_bytes_(skip_bytes +
                      (kind == Kind::index_leaf || kind == Kind::table_leaf ? leaf_header_bytes : inner_header_bytes)) {
    data_[skip_bytes] = static_cast<char>(kind);
}

char *Page::add(size_t cell_bytes) {
    if (cost_bytes(cell_bytes) > room_bytes()) return nullptr;
    begin_bytes_ -= cell_bytes;
    put_big_endian<2>(data_.data() + pointers_bytes_, begin_bytes_);
    pointers_bytes_ += 2;
    ++cells_;
    last_bytes_ = cell_bytes;
    return data_.data() + begin_bytes_;
}

std::string Page::take_last() {
    std::string cell(data_.data() + begin_bytes_, last_bytes_);
    std::memset(data_.data() + begin_bytes_, 0, last_bytes_);
    begin_bytes_ += last_bytes_;
    pointers_bytes_ -= 2;
    --cells_;
    put_big_endian<2>(data_.data() + pointers_bytes_, 0);
    return cell;
}

void Page::set_right_child(uint32_t page) { put_big_endian<4>(data_.data() + skip_bytes_ + leaf_header_bytes, page); }

std::string_view Page::bytes() {
    put_big_endian<2>(data_.data() + skip_bytes_ + 3, cells_);
    put_big_endian<2>(data_.data() + skip_bytes_ + 5, begin_bytes_);
    return {data_.data(), data_.size()};
}

bool put_row(Page &page, int64_t row, std::string_view record) {
    return put_cell(page, Varint(static_cast<uint64_t>(row)).bytes(), record);
}

uint32_t PageFile::append(Page &page) {
    pending_ += page.bytes();
    const auto number = static_cast<uint32_t>(written_ + pending_.size() / page_bytes);
    if (pending_.size() >= pending_limit_bytes) flush();
    return number;
}

void PageFile::flush() {
    std::string_view rest = pending_;
    auto offset = static_cast<off_t>(uint64_t{written_} * page_bytes);
    while (failure_ == 0 && !rest.empty()) {
        const ssize_t n = ::pwrite(fd_, rest.data(), rest.size(), offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) failure_ = errno;
        if (n < 0) break;
        rest.remove_prefix(static_cast<size_t>(n));
        offset += n;
    }
    written_ += static_cast<uint32_t>(pending_.size() / page_bytes);
    pending_.clear();
}

base::Result<> PageFile::finish(Page &schema) {
    flush();
    std::array<char, file_header_bytes> header{};
    std::memcpy(header.data(), "SQLite format 3", 16);
    put_big_endian<2>(&header[16], page_bytes);
    put_big_endian<1>(&header[18], 2);  // written and
    put_big_endian<1>(&header[19], 2);  // read with a write-ahead log
    put_big_endian<1>(&header[21], 64);
    put_big_endian<1>(&header[22], 32);
    put_big_endian<1>(&header[23], 32);
    put_big_endian<4>(&header[24], 1);  // change counter
    put_big_endian<4>(&header[28], written_);
    put_big_endian<4>(&header[40], 1);  // schema cookie
    put_big_endian<4>(&header[44], 4);  // schema format
    put_big_endian<4>(&header[56], 1);  // UTF-8
    put_big_endian<4>(&header[92], 1);  // the change counter for which the next field is valid
    put_big_endian<4>(&header[96], written_by_version);
    pending_ = schema.bytes();
    pending_.replace(0, header.size(), header.data(), header.size());
    written_ = 0;
    flush();
    if (failure_ != 0) return base::fail(failure_, "write", name_);
    return {};
}

Tree::Tree(PageFile &file, Kind kind)
    : file_(&file), kind_(kind), page_(kind == Kind::table ? Page::Kind::table_leaf : Page::Kind::index_leaf) {}

void Tree::add(int64_t row, std::string_view record) {
    if (!put_row(page_, row, record)) {
        children_.push_back({file_->append(page_), std::string(Varint(static_cast<uint64_t>(last_row_)).bytes())});
        page_ = Page(Page::Kind::table_leaf);
        put_row(page_, row, record);
    }
    last_row_ = row;
}

// In an index the divider is an entry itself: the last entry of the full page moves up, so that no page is left empty.
void Tree::add(std::string_view record) {
    if (put_cell(page_, {}, record)) return;
    std::string divider = page_.take_last();
    children_.push_back({file_->append(page_), std::move(divider)});
    page_ = Page(Page::Kind::index_leaf);
    put_cell(page_, {}, record);
}

uint32_t Tree::finish() {
    children_.push_back({file_->append(page_), {}});
    while (children_.size() > 1) children_ = level_above(children_);
    return children_.front().page;
}

// Closes a page while it still has room for one more cell if that cell would leave a single child for the next page.
std::vector<Tree::Child> Tree::level_above(const std::vector<Child> &children) {
    const auto kind = kind_ == Kind::table ? Page::Kind::table_inner : Page::Kind::index_inner;
    const auto cost = [&](size_t i) { return Page::cost_bytes(sizeof(uint32_t) + children[i].divider.size()); };
    std::vector<Child> above;
    Page page(kind);
    for (size_t i = 0; i < children.size(); ++i) {
        const auto &[child, divider] = children[i];
        const bool last = i + 1 == children.size();
        if (last || (i + 2 < children.size() && page.room_bytes() < cost(i) + cost(i + 1))) {
            page.set_right_child(child);
            above.push_back({file_->append(page), divider});
            page = Page(kind);
            continue;
        }
        char *cell = page.add(sizeof child + divider.size());
        put_big_endian<sizeof child>(cell, child);
        std::ranges::copy(divider, cell + sizeof child);
    }
    return above;
}

}  // namespace stage1::nixdb
