// Index: what one archive holds, by path and by module name.
//
// Mounting makes one pass over the members' names, copies no string, and keeps what that pass is for: which directories
// there are (one hash table by path; those that the archive only implies are made up) and where in the archive each
// one's members stand, as runs of neighbours, since members come grouped by directory in every archive a tool writes.
// A directory's own table of its files is made when something in it is first asked for, and kept unless it is small. It
// has two kinds of keys:
//
//   names  "version.py" -> file
//   stems  "version" -> the member CPython's path finder would choose for that module
//
// Finding a module is a few look-ups and probes nothing.
//
// Names stand in the archive's own directory alone, also those of directories: of each a member is known that is it or
// lies below it. With what the archive keeps, a member costs at most 120 bytes beside its name, whatever was looked up;
// of directories that no member names one to each member is included in that (index_memory_test.cc).
//
// So an archive of 100,000 members is mounted in a few milliseconds, and a program pays for the directories it uses.
//
// A prefix is a directory of the archive whose content counts as the root, as a wheel's .data/purelib does.
//
// Ownership: an Index borrows its archive, which must outlive it.
// Threads: never changes but for tables that are published whole (core/base/lazy.h); any thread may ask.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/base/lazy.h"
#include "core/tree/slots.h"

namespace intact {

// What the interpreter at hand can import; core knows no Python of its own.
struct ImportRules {
  std::vector<std::string> extension_suffixes;  // ".cpython-311-x86_64-linux-gnu.so", …: the first wins
};

// A file or a directory, known by its number: directories come first, files in the order of the archive's members.
struct Node {
  std::string_view path;         // below the root, without the prefix; the root's is empty
  std::uint32_t member = kNone;  // kNone for a directory that no member names
  bool directory = false;

  std::string_view name() const { return path.substr(path.rfind('/') + 1); }
};

// What a directory lists.
struct Child {
  std::string_view name;
  std::uint32_t node = kNone;
};

enum class ModuleKind : std::uint8_t { kExtension, kSource, kBytecode, kNamespace };

struct Module {
  std::string_view stem;       // the path without suffix: for a package its directory
  std::uint32_t node = kNone;  // of the file; of the directory for a namespace portion
  ModuleKind kind = ModuleKind::kNamespace;
  bool package = false;  // a regular package: `node` is its __init__
};

class Index {
 public:
  // Of more directories than `most` it knows only some.
  Index(const Archive& archive, std::vector<std::string> prefixes, const ImportRules& rules,
        std::size_t most = SIZE_MAX);
  bool whole() const { return whole_; }

  Node node(std::uint32_t number) const;
  // One more than the greatest number of a node.
  std::uint32_t size() const { return file_number(static_cast<std::uint32_t>(archive_.size())); }
  std::uint32_t directory_count() const { return static_cast<std::uint32_t>(directories_.size()); }
  bool is_directory(std::uint32_t number) const { return number < directory_count(); }

  // Paths as in Node::path; node 0 is the root and its path is empty.
  std::optional<std::uint32_t> find(std::string_view path) const;

  // What is in a directory, given by its number, each name once: directories, then files.
  std::vector<Child> children(std::uint32_t directory) const;

  // The module at `stem` ("pkg/inner"); a directory without __init__ is a namespace portion.
  std::optional<Module> find_module(std::string_view stem) const;

  // Whether any __pycache__ directory is there, so that looking for cached bytecode can pay.
  bool has_bytecode_cache() const { return has_bytecode_cache_; }

  // Every file that can be found, in the archive's order.
  const std::vector<std::uint32_t>& files() const;

  // Files whose name looks like a shared library (".so" at the end or ".so." within), for look-ups by bare name. In the
  // archive's order.
  const std::vector<std::uint32_t>& shared_objects() const;
  // The first of them of this base name.
  std::optional<std::uint32_t> find_shared_object(std::string_view base_name) const;

 private:
  // Members from `first` to before `end`, which lie in one directory.
  struct Run {
    std::uint32_t first = 0;
    std::uint32_t end = 0;
    std::uint32_t next = kNone;  // run of the same directory
  };

  struct Directory {
    std::uint32_t member = kNone;        // whose path begins with this one's; kNamed if it is this directory
    std::uint32_t path_size = 0;         // bytes
    std::uint32_t first_inner = kNone;   // directory within it,
    std::uint32_t next_sibling = kNone;  // and the next one of those
    Run files = {};
  };
  static constexpr std::uint32_t kNamed = std::uint32_t{1} << 31;

  // The keys of the files in a directory. kStemKey in a slot's number tells a stem's key from a name's.
  using Table = std::vector<Slot>;
  static constexpr std::uint32_t kStemKey = std::uint32_t{1} << 31;
  static constexpr std::size_t kNoModule = SIZE_MAX / 2;
  // The table of so few files is not kept but made anew on the stack of who asks.
  static constexpr std::size_t kFew = 4;
  using FewSlots = std::array<Slot, slots_for(2 * kFew)>;

  // Building.
  std::size_t add_run(std::size_t first);
  std::uint32_t directory_of(std::string_view path, std::uint32_t member);
  void put_directories(std::size_t room);
  void fill(std::span<Slot> slots, std::uint32_t directory) const;
  void add_file(std::span<Slot> slots, std::string_view name, std::uint32_t node) const;

  // Both.
  std::span<const Slot> table(std::uint32_t directory, FewSlots& few) const;
  // The file of a name (kind 0) or a stem (kStemKey) in a directory, or kNone.
  std::uint32_t find_file(std::uint32_t directory, std::string_view key, std::uint32_t kind) const;
  auto matching(std::string_view key, std::uint32_t kind) const;
  const Run* next(const Run& run) const;
  std::size_t count_files(std::uint32_t directory, std::size_t most) const;
  std::string_view member_path(std::uint32_t member) const;
  std::uint32_t file_number(std::uint32_t member) const { return directory_count() + member; }
  std::string_view without_prefix(std::string_view path) const;
  std::uint32_t find_directory(std::string_view path) const;
  std::size_t suffix_rank(std::string_view suffix) const;
  std::size_t rank_of(std::string_view name) const;

  const Archive& archive_;
  std::vector<std::string> prefixes_;
  std::vector<std::string> suffixes_;
  std::vector<Directory> directories_;
  std::vector<Slot> directory_slots_;      // path -> number
  std::vector<Run> runs_;                  // but the first of each directory
  std::vector<std::uint32_t> last_runs_;   // of each directory, while building
  std::unique_ptr<Lazy<Table>[]> tables_;  // one for each directory
  Lazy<std::vector<std::uint32_t>> files_;
  Lazy<std::vector<std::uint32_t>> shared_objects_;
  bool has_bytecode_cache_ = false;
  bool whole_ = false;
};

}  // namespace intact
