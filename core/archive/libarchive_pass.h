// Pass: the one time that libarchive goes through an archive.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/libarchive_feed.h"
#include "core/archive/libarchive_unpacking.h"
#include "core/archive/sequential.h"

namespace intact {

class Pass {
 public:
  // Reads `input` into `archive`, or what `unpacking` makes of it, which is null if it is not compressed.
  Pass(const Libarchive& library, const Input& input, Unpacking* unpacking, const OpenOptions& options,
       SequentialArchive& archive)
      : library_(library),
        input_(input),
        unpacking_(unpacking),
        options_(options),
        archive_(archive),
        in_place_(unpacking == nullptr && &input == &archive.source()),
        header_cap_(library),
        feed_(library, input) {}

  // A wrong password and a broken archive look the same, where contents tell until those of some member were read.
  void doubt_password(bool contents_tell) { password_in_doubt_ = true, contents_tell_ = contents_tell; }
  // libarchive is to stand at one of these, which are sorted, after each member; anywhere if there are none.
  void expect_ends(std::vector<std::uint64_t> ends) { ends_ = std::move(ends); }

  // False if libarchive knows no format like this.
  Result<bool> run();
  // "tar": afterwards.
  const char* format_name() const;

 private:
  // Contents on their way: first taken to lie in the source, until a piece shows otherwise.
  struct Growing {
    bool in_place = true;
    bool kept = true;
    std::uint64_t start = 0;  // in the source or the spill
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
  };

  void support_formats();
  Result<bool> read_members();
  Result<void> add(archive_entry* header);
  Result<void> read_contents(archive_entry* header, SequentialArchive::Entry& entry);
  Result<void> pass_over();
  Result<int> read_pieces(Growing& contents);
  Result<void> take(Growing& contents, std::span<const std::byte> piece);
  Result<void> move_to_spill(Growing& contents);
  Result<void> take_zeros(Growing& contents, std::uint64_t count);
  Result<void> count_unpacked(std::uint64_t size);
  Result<void> check_end() const;
  Result<void> ask_whether_to_go_on(std::uint64_t size);
  std::optional<std::string> path_of(const char* name) const;
  Error failure(std::string_view member = {}) const;
  Error over_limit(std::uint64_t size) const;
  std::string reason() const;
  int format() const { return library_.archive_format(reader_.get()) & ARCHIVE_FORMAT_BASE_MASK; }

  const Libarchive& library_;
  const Input& input_;
  Unpacking* const unpacking_;
  const OpenOptions& options_;
  SequentialArchive& archive_;
  const bool in_place_;  // contents may lie in the source as they are
  HeaderCap header_cap_;
  Feed feed_;
  ReaderPtr reader_;
  std::uint64_t unpacked_ = 0;
  std::uint64_t left_in_place_ = 0;
  std::uint64_t names_size_ = 0;
  std::uint64_t unasked_ = 0;
  std::uint64_t handed_out_ = 0;
  std::int64_t began_ = 0, asked_ = 0;  // nanoseconds of this thread's CPU time, and of the clock
  std::vector<std::uint64_t> ends_;
  std::size_t linked_ = 0;
  bool password_in_doubt_ = false;
  bool contents_tell_ = false;
  std::optional<Error> wrong_password_;  // what is to be said if it stays in doubt
};

}  // namespace intact
