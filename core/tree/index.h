// Index: what one archive holds, by path and by module name. Built once, when the archive is mounted.
//
// Building makes one pass over the members and copies no string: everything is keyed by views into the archive's own names.
// Directories stand in one hash table by their path; each has a small table of its own with two kinds of keys:
//
//   names  "version.py" -> file or directory; directories that the archive only implies are made up
//   stems  "version" -> the member CPython's path finder would choose for that module. A package's __init__ is known to
//          its directory. Finding a module is one look-up and probes nothing.
//
// Tables of their own because members come grouped by directory in every archive a tool writes: what is being filled
// stays in the processor's nearest cache, and an archive of 100,000 members is indexed in a few milliseconds.
//
// A prefix is a directory of the archive whose content counts as the root, as a wheel's .data/purelib does.
//
// Ownership: an Index borrows names from its archive, which must outlive it. It never changes once built.
// Hashes are seeded for each process, so an archive cannot be made to collide.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/base/large_allocator.h"

namespace intact {

inline constexpr std::uint32_t kNone = UINT32_MAX;

// What the interpreter at hand can import; core knows no Python of its own.
struct ImportRules {
  std::vector<std::string> extension_suffixes;  // ".cpython-311-x86_64-linux-gnu.so", …: the first wins
};

struct Node {
  std::string_view path;  // below the root, without the prefix; the root's is empty
  std::uint32_t member = kNone;  // kNone for a directory that no member names
  std::uint32_t first_child = kNone;
  std::uint32_t next_sibling = kNone;
  std::uint32_t init = kNone;    // of a directory: the __init__ that makes it a regular package
  bool directory = false;

  std::string_view name() const { return path.substr(path.rfind('/') + 1); }
};

enum class ModuleKind : std::uint8_t { kExtension, kSource, kBytecode, kNamespace };

struct Module {
  std::string_view stem;     // the path without suffix: for a package its directory
  std::uint32_t node = kNone;  // of the file; of the directory for a namespace portion
  ModuleKind kind = ModuleKind::kNamespace;
  bool package = false;      // a regular package: `node` is its __init__
};

std::uint64_t hash_bytes(std::string_view bytes);

class Index {
 public:
  Index(const Archive& archive, const std::vector<std::string>& prefixes, const ImportRules& rules);

  const Node& node(std::uint32_t number) const { return nodes_[number]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }

  std::size_t file_count() const { return file_count_; }

  // Paths as in Node::path; node 0 is the root and its path is empty.
  std::optional<std::uint32_t> find(std::string_view path) const;

  // The module at `stem` ("pkg/inner"); a directory without __init__ is a namespace portion.
  std::optional<Module> find_module(std::string_view stem) const;

  // Whether any __pycache__ directory is there, so that looking for cached bytecode can pay.
  bool has_bytecode_cache() const { return has_bytecode_cache_; }

  // Nodes of files whose name looks like a shared library (".so" at the end or ".so." within), for look-ups
  // by bare name. In the archive's order.
  const std::vector<std::uint32_t>& shared_objects() const { return shared_objects_; }

 private:
  // An empty slot has no node. kStemKey in `node` tells a stem's key from a name's.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t node = kNone;
  };
  using Slots = std::vector<Slot, LargeAllocator<Slot>>;
  static constexpr std::uint32_t kStemKey = std::uint32_t{1} << 31;
  static constexpr std::size_t kNoModule = SIZE_MAX / 2;

  // A directory's table: `capacity` slots, a power of two, from `start` in slots_.
  struct Directory {
    std::uint32_t node = 0;
    std::uint32_t start = 0;
    std::uint32_t capacity = 0;
    std::uint32_t used = 0;
  };

  // Building.
  std::size_t add_run(std::span<const Member> members, const std::vector<std::string>& prefixes, std::size_t first);
  void add_file(std::uint32_t directory, std::string_view path, std::size_t base, std::uint32_t member);
  std::uint32_t directory_of(std::string_view path);
  std::uint32_t insert_node(std::uint32_t directory, std::string_view path, std::size_t base, std::uint32_t member);
  void insert_stem(std::uint32_t directory, std::string_view stem, std::size_t rank, std::uint32_t node);
  void put_directory(std::uint32_t number);
  void reserve(std::uint32_t directory, std::size_t more);

  // Both.
  std::uint32_t find_directory(std::string_view path) const;
  Slot* probe(std::uint32_t directory, std::string_view key, std::uint64_t hash, std::uint32_t kind) const;
  std::size_t suffix_rank(std::string_view suffix) const;
  std::size_t rank_of(std::uint32_t node) const;

  std::vector<Node, LargeAllocator<Node>> nodes_;
  std::vector<Directory> directories_;
  mutable Slots slots_;        // every directory's table; looking up changes nothing
  mutable Slots directory_slots_;  // path -> number in directories_, a power of two
  std::vector<std::uint32_t> shared_objects_;
  std::vector<std::string> suffixes_;
  std::size_t file_count_ = 0;
  bool has_bytecode_cache_ = false;
};

}  // namespace intact
