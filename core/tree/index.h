// Index: what one archive holds, by path and by module name.
//
// Mounting makes one pass over the members' names, copies no string, and keeps what that pass is for: which directories
// there are (one hash table by path; those that the archive only implies are made up) and where in the archive each
// one's members stand, as runs of neighbours, since members come grouped by directory in every archive a tool writes.
// A directory's own table is made when something in it is first asked for. It has two kinds of keys:
//
//   names  "version.py" -> file or directory
//   stems  "version" -> the member CPython's path finder would choose for that module. A package's __init__ is known to
//          its directory. Finding a module is one look-up and probes nothing.
//
// Names stand in the archive's own directory alone. With that (core/archive/zip_directory.h) a member costs at most 120
// bytes beside its name, whatever was looked up, where a directory that is only implied counts as one
// (index_memory_test.cc).
//
// So an archive of 100,000 members is mounted in a few milliseconds, and a program pays for the directories it uses.
//
// A prefix is a directory of the archive whose content counts as the root, as a wheel's .data/purelib does.
//
// Ownership: an Index borrows its archive, which must outlive it.
// Threads: never changes but for tables that are published whole (core/base/lazy.h); any thread may ask.
// Hashes are seeded for each process, so an archive cannot be made to collide.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/base/lazy.h"

namespace intact {

inline constexpr std::uint32_t kNone = UINT32_MAX;

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

std::uint64_t hash_bytes(std::string_view bytes);

class Index {
 public:
  Index(const Archive& archive, std::vector<std::string> prefixes, const ImportRules& rules);

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
  // Members from `first` to before `end` lie in one directory; their names begin at `base` in their paths.
  struct Run {
    std::uint32_t first = 0;
    std::uint32_t end = 0;
    std::uint32_t base = 0;
    std::uint32_t next = kNone;  // run of the same directory
  };

  struct Directory {
    std::string_view path;
    std::uint32_t member = kNone;
    std::uint32_t first_inner = kNone;   // directory within it,
    std::uint32_t next_sibling = kNone;  // and the next one of those
    std::uint32_t first_run = kNone;
  };

  // An empty slot has no node. kStemKey in `node` tells a stem's key from a name's.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t node = kNone;
  };
  static constexpr std::uint32_t kStemKey = std::uint32_t{1} << 31;
  static constexpr std::size_t kNoModule = SIZE_MAX / 2;

  // The keys of what is in a directory.
  struct Table {
    explicit Table(std::uint32_t room) : slots(std::make_unique<Slot[]>(room)), size(room) {}
    std::span<Slot> all() const { return {slots.get(), size}; }

    std::unique_ptr<Slot[]> slots;
    std::uint32_t size;
    std::uint32_t init = kNone;  // the file __init__ that makes the directory a regular package
  };

  // Building.
  std::size_t add_run(std::size_t first);
  std::uint32_t directory_of(std::string_view path);
  void put_directory(std::uint32_t number);
  void put_directories(std::size_t room);
  Table make_table(std::uint32_t directory) const;
  void add_file(Table& table, std::string_view name, std::uint32_t node) const;

  // Both.
  const Table& table(std::uint32_t directory) const;
  // The slot of a name (kind 0) or a stem (kStemKey), or the empty one where it would go.
  Slot& slot_of(const Table& table, std::string_view key, std::uint64_t hash, std::uint32_t kind) const;
  std::uint32_t file_number(std::uint32_t member) const { return directory_count() + member; }
  std::string_view without_prefix(std::string_view path) const;
  std::uint32_t find_directory(std::string_view path) const;
  std::size_t suffix_rank(std::string_view suffix) const;
  std::size_t rank_of(std::string_view name) const;

  const Archive& archive_;
  std::vector<std::string> prefixes_;
  std::vector<std::string> suffixes_;
  std::vector<Directory> directories_;
  std::vector<Slot> directory_slots_;  // path -> number
  std::vector<Run> runs_;
  std::vector<std::uint32_t> last_runs_;   // of each directory, while building
  std::unique_ptr<Lazy<Table>[]> tables_;  // one for each directory
  Lazy<std::vector<std::uint32_t>> files_;
  Lazy<std::vector<std::uint32_t>> shared_objects_;
  bool has_bytecode_cache_ = false;
};

}  // namespace intact
