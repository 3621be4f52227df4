// Archive: a read-only container of members, whatever its format.
//
// A format is one file (zip.cc, directory.cc) that ends in one entry of the table in archive.cc. Opening
// tells "not mine" (a null pointer: the next format is asked) from "mine but broken" (an error).
//
// Ownership: an Archive owns its source (memory or descriptor); views that it gives live as long as it does.
// Threads: after opening an Archive never changes, and every function may be called from any thread.
// Failure: every error names the archive, and the member and offset where there is one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace intact {

// What an archive may cost. A member over its cap is listed, and refused when it is read.
struct Limits {
  std::uint64_t members = 4'000'000;
  std::uint64_t member_size = std::uint64_t{4} << 30;     // bytes, unpacked
  std::uint64_t directory_size = std::uint64_t{1} << 30;  // bytes of the central directory, or of all names
  std::uint64_t unpacked_size = std::uint64_t{1} << 30;   // bytes kept of an archive that is unpacked when it is opened
  std::uint64_t seconds = 20;  // of CPU that libarchive may take, and one more for each MiB that it hands out
};

struct OpenOptions {
  // The password as bytes, nothing if there is none. Called while an archive is opened, once, and only if something in
  // it is encrypted; never afterwards.
  using Password = std::function<Result<std::optional<std::string>>()>;

  OpenOptions(Limits limits = {}) : limits(limits) {}

  Limits limits;
  Password password = {};
  std::string spill_directory = {};  // for what is unpacked when an archive is opened; empty: in memory
  bool trusted = false;              // what other formats than zip hold is not checked before libarchive reads it
  bool follow_links = true;          // a symbolic link is what it leads to, not a file with its target in it
  // Asked again and again in long work; false ends it with an error of code kSystem, EINTR.
  std::function<bool()> go_on = [] { return true; };
};

struct MemberName {
  std::string_view path;  // as in Member
  bool directory = false;
};

struct Member {
  std::string_view path;   // normalised: no leading or trailing '/', no "." or "..", no empty component
  std::uint64_t size = 0;  // bytes, unpacked
  std::uint64_t packed_size = 0;
  std::uint64_t offset = 0;  // of the member's header in the archive
  std::uint32_t crc = 0;
  std::uint32_t mode = 0;    // Unix mode where the format keeps one, else 0
  std::uint32_t time = 0;    // as the format keeps it; Archive::mtime converts
  std::uint16_t method = 0;  // APPNOTE.TXT 4.4.5
  bool directory = false;
  bool encrypted = false;
};

// Where a stored member lies in a file: such a member can be mapped without copying.
struct Extent {
  int fd = -1;  // owned by the archive
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Where an archive's bytes come from.
struct Source {
  // A part of a file that is an archive by itself: a stored member of another one.
  struct Window {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  std::string name;  // what errors call it: a path, or the name given to bytes
  std::variant<Bytes, UniqueFd> bytes;
  std::optional<Window> window = {};  // of a file
};

class Input;

class Archive {
 public:
  virtual ~Archive() = default;

  const std::string& name() const { return name_; }
  virtual const char* format() const = 0;  // "zip", "app", "directory"

  // Members are numbered from 0 in the archive's order.
  virtual std::size_t size() const = 0;
  virtual Member member(std::size_t index) const = 0;
  // The part of it that an index asks of every member.
  virtual MemberName member_name(std::size_t index) const = 0;

  // Entries that are not among the members because their names cannot be paths below a root ("..", absolute,
  // NUL; docs/formats/zip.md). They cannot be reached; `verify` reports how many there are.
  virtual std::size_t unreachable() const { return 0; }

  // Whether some member is a symbolic link: S_ISLNK(mode), its target as contents. open_archive follows them (links.h).
  virtual bool has_links() const { return false; }

  // Seconds since the epoch.
  virtual std::int64_t mtime(std::size_t index) const = 0;

  // The file or directory that it is read from, owned by the archive; -1 for memory.
  virtual int descriptor() const { return -1; }
  // The bytes that it is read from; null for a directory.
  virtual const Input* input() const { return nullptr; }

  // The member whole, its CRC-32 checked, or where it is encrypted the HMAC. A stored member of an archive in memory is
  // not copied.
  virtual Result<Bytes> read(std::size_t index) const = 0;

  // The same into memory of the caller's, which has the member's size exactly.
  virtual Result<void> read_into(std::size_t index, std::span<std::byte> target) const = 0;

  // Where the member lies, when it is stored and the archive is a file; nothing otherwise. The header is
  // checked, the contents are not: see check.
  virtual Result<std::optional<Extent>> extent(std::size_t index) const = 0;

  // Compares the member's CRC-32 or HMAC, keeping nothing; a stored member of a file is read in pieces.
  virtual Result<void> check(std::size_t index) const = 0;

  // A file of its own on disk that holds just this member (a directory's), or nothing.
  virtual std::optional<std::string> real_path(std::size_t) const { return std::nullopt; }

 protected:
  explicit Archive(std::string name) : name_(std::move(name)) {}
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  // An error about one member of this archive.
  Error member_error(std::size_t index, std::string reason, std::optional<std::uint64_t> offset = {}) const;

 private:
  std::string name_;
};

// Opens with the first format that knows the source; an error of code kArchive if none does.
Result<std::unique_ptr<Archive>> open_archive(Source source, const OpenOptions& options);

// Opens the file or directory at `path`; errors of code kSystem if it cannot be opened.
Result<std::unique_ptr<Archive>> open_archive(const std::string& path, const OpenOptions& options);

}  // namespace intact
