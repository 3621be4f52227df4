// Index: what one archive holds, by path and by module name. Built once, when the archive is mounted.
//
// Two hash tables over the members, both keyed by views into the archive's own names, so that building
// them costs one pass and no string is copied:
//
//   nodes    path -> file or directory; directories that the archive only implies are made up
//   modules  path without suffix ("numpy/linalg" for numpy/linalg/__init__.py, "numpy/version" for
//            numpy/version.py) -> the member CPython's path finder would choose there. Finding a module is
//            one look-up and probes nothing.
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

  // The module at `stem` ("numpy/linalg"); a directory without __init__ is a namespace portion.
  std::optional<Module> find_module(std::string_view stem) const;

  // Whether any __pycache__ directory is there, so that looking for cached bytecode can pay.
  bool has_bytecode_cache() const { return has_bytecode_cache_; }

  // Nodes of files whose name looks like a shared library (".so" at the end or ".so." within), for look-ups
  // by bare name. In the archive's order.
  const std::vector<std::uint32_t>& shared_objects() const { return shared_objects_; }

 private:
  // Of both tables; an empty slot has no node.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t node = kNone;
  };
  using Slots = std::vector<Slot, LargeAllocator<Slot>>;

  // A member whose hashes are known.
  struct Entry {
    std::string_view path;
    std::uint64_t hash = 0;
    std::string_view stem;  // empty for what is no module
    std::uint64_t stem_hash = 0;
  };
  static constexpr std::size_t kNoModule = SIZE_MAX / 2;

  Entry look_ahead(std::string_view path) const;
  void add_member(const Entry& entry, std::uint32_t member, bool directory);
  std::uint32_t directory_of(std::string_view path);
  std::uint32_t insert_node(std::string_view path, std::uint64_t hash, std::uint32_t member, bool directory);
  Slot* node_slot(std::string_view path, std::uint64_t hash);
  Slot* module_slot(std::string_view stem, std::uint64_t hash);
  std::size_t suffix_rank(std::string_view suffix) const;
  void put_module(std::string_view stem, std::uint64_t hash, std::uint32_t node);
  std::size_t rank_of(std::string_view path, std::string_view stem) const;

  std::vector<Node, LargeAllocator<Node>> nodes_;
  Slots node_slots_;    // open addressing, a power of two
  Slots module_slots_;  // the same
  std::size_t module_count_ = 0;
  std::vector<std::uint32_t> shared_objects_;
  std::vector<std::string> suffixes_;
  std::size_t file_count_ = 0;
  bool has_bytecode_cache_ = false;
  std::string_view last_directory_;  // while building: members come grouped
  std::uint32_t last_directory_node_ = 0;
};

}  // namespace intact
