// Building the two tables in one pass over the members, and looking things up in them.
//
// Members come grouped by directory in every archive a tool writes, so the directory of the previous member is
// remembered and a whole directory costs one look-up. Both tables use open addressing with linear probing and keep
// 32 bits of the hash beside the number, so that a miss touches no string.
//
// Names that clash: the last member of a name wins, as in zipfile. A name that is both a file and the directory of
// other members is a directory.

#include "core/tree/index.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace intact {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::string_view kInit = "/__init__";
constexpr std::string_view kPycache = "__pycache__";

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* bytes, std::size_t size) {
  std::uint64_t value = 0;
  if (size > 0) std::memcpy(&value, bytes, size);  // an empty view may have no bytes to point at
  return value;
}

std::uint64_t process_seed() {
  static const std::uint64_t seed = [] {
    std::uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) value = reinterpret_cast<std::uintptr_t>(&value);
    return value;
  }();
  return seed;
}

// The part of a member's path that counts: what stands behind a prefix, or behind a wheel's .data/purelib and
// .data/platlib (binary distribution format, "The .data directory").
std::string_view without_prefix(std::string_view path, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    if (path.size() > prefix.size() && path[prefix.size()] == '/' && path.starts_with(prefix)) {
      return path.substr(prefix.size() + 1);
    }
  }
  const std::size_t slash = path.find('/');
  if (slash == path.npos || !path.substr(0, slash).ends_with(".data")) return path;
  const std::string_view rest = path.substr(slash + 1);
  if (rest.size() > 8 && (rest.starts_with("purelib/") || rest.starts_with("platlib/"))) return rest.substr(8);
  return path;
}

// No file system call could name what lies deeper or is longer (PATH_MAX); leaving it out also bounds the work of
// making up directories.
bool reachable(std::string_view path) {
  constexpr std::size_t kMaxDepth = 256;
  return path.size() <= kMaxDepth ||
         (path.size() < 4096 && std::count(path.begin(), path.end(), '/') < static_cast<std::ptrdiff_t>(kMaxDepth));
}

// Whether the file at `path` is the module, or the __init__ of the package, whose path without suffix is `stem`.
bool is_module_at(std::string_view path, std::string_view stem) {
  if (path.size() <= stem.size() || !path.starts_with(stem)) return false;
  const std::string_view rest = path.substr(stem.size());
  return rest.front() == '.' || (rest.starts_with(kInit) && rest.size() > kInit.size() && rest[kInit.size()] == '.');
}

// The slot that holds `matches`, or the empty one where it would go.
template <typename Slots, typename Matches>
auto* probe(Slots& slots, std::uint32_t hash, Matches matches) {
  const std::size_t mask = slots.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    auto& slot = slots[i];
    if (slot.node == kNone || (slot.hash == hash && matches(slot))) return &slot;
  }
}

template <typename Slots>
void grow(Slots& slots, std::size_t capacity) {
  Slots old(capacity);
  old.swap(slots);
  for (const auto& slot : old) {
    if (slot.node != kNone) *probe(slots, slot.hash, [](const auto&) { return false; }) = slot;
  }
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = process_seed() ^ (left * 0x9e3779b97f4a7c15u);
  for (; left > 8; at += 8, left -= 8) hash = fold(hash ^ load(at, 8), 0xd6e8feb86659fd93u);
  return fold(hash ^ load(at, left), 0xa0761d6478bd642fu) ^ hash;
}

Index::Index(const Archive& archive, const std::vector<std::string>& prefixes, const ImportRules& rules)
    : suffixes_(rules.extension_suffixes) {
  const std::span<const Member> members = archive.members();
  const std::size_t capacity = std::bit_ceil(members.size() * 2 + 16);
  nodes_.reserve(members.size() + members.size() / 8 + 8);
  node_slots_.resize(capacity);
  module_slots_.resize(capacity);
  nodes_.push_back({.path = {}, .directory = true});
  *node_slot({}, hash_bytes({})) = {static_cast<std::uint32_t>(hash_bytes({})), 0};
  std::array<Entry, kBatch> batch;
  for (std::size_t start = 0; start < members.size(); start += kBatch) {
    const std::size_t end = std::min(start + kBatch, members.size());
    for (std::size_t i = start; i < end; ++i) batch[i - start] = look_ahead(without_prefix(members[i].path, prefixes));
    for (std::size_t i = start; i < end; ++i) {
      if (reachable(batch[i - start].path)) add_member(batch[i - start], static_cast<std::uint32_t>(i), members[i].directory);
    }
  }
  file_count_ = static_cast<std::size_t>(std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return !node.directory; }));
}

// Nearly every insertion misses the processor's caches; hashing a batch ahead lets the misses overlap.
Index::Entry Index::look_ahead(std::string_view path) const {
  Entry entry{.path = path, .hash = hash_bytes(path), .stem = {}, .stem_hash = 0};
  __builtin_prefetch(&node_slots_[entry.hash & (node_slots_.size() - 1)], 1);
  const std::size_t dot = path.find('.', path.rfind('/') + 1);  // npos + 1 is 0
  if (dot != path.npos && suffix_rank(path.substr(dot)) != kNoModule) {
    entry.stem = path.substr(0, dot);
    entry.stem_hash = hash_bytes(entry.stem);
    __builtin_prefetch(&module_slots_[entry.stem_hash & (module_slots_.size() - 1)], 1);
  }
  return entry;
}

void Index::add_member(const Entry& entry, std::uint32_t member, bool directory) {
  if (directory) {
    nodes_[directory_of(entry.path)].member = member;
    return;
  }
  const std::uint32_t number = insert_node(entry.path, entry.hash, member, false);
  if (nodes_[number].directory) return;
  if (!entry.stem.empty()) put_module(entry.stem, entry.stem_hash, number);
  if (entry.stem.ends_with(kInit)) {
    const std::string_view package = entry.stem.substr(0, entry.stem.size() - kInit.size());
    put_module(package, hash_bytes(package), number);
  }
  if (const auto name = nodes_[number].name(); name.find(".so") != name.npos) shared_objects_.push_back(number);
}

// The node of a directory, made with its parents where it is missing.
std::uint32_t Index::directory_of(std::string_view path) {
  if (path == last_directory_) return last_directory_node_;
  std::uint32_t number = 0;
  if (!path.empty()) {
    const std::uint64_t hash = hash_bytes(path);
    Slot* slot = node_slot(path, hash);
    number = slot->node != kNone ? slot->node : insert_node(path, hash, kNone, true);
    if (Node& node = nodes_[number]; !node.directory) {  // a file of the same name: the directory wins
      node.directory = true;
      node.member = kNone;
    }
    if (nodes_[number].name() == kPycache) has_bytecode_cache_ = true;
  }
  last_directory_ = path;
  return last_directory_node_ = number;
}

std::uint32_t Index::insert_node(std::string_view path, std::uint64_t hash, std::uint32_t member, bool directory) {
  const std::size_t slash = path.rfind('/');
  const std::uint32_t parent = slash == path.npos ? 0 : directory_of(path.substr(0, slash));
  if ((nodes_.size() + 1) * 2 > node_slots_.size()) grow(node_slots_, node_slots_.size() * 2);
  Slot* slot = node_slot(path, hash);
  if (slot->node != kNone) {
    if (!nodes_[slot->node].directory) nodes_[slot->node].member = member;
    return slot->node;
  }
  const auto number = static_cast<std::uint32_t>(nodes_.size());
  *slot = {static_cast<std::uint32_t>(hash), number};
  nodes_.push_back({.path = path, .member = member, .next_sibling = nodes_[parent].first_child, .directory = directory});
  nodes_[parent].first_child = number;
  return number;
}

Index::Slot* Index::node_slot(std::string_view path, std::uint64_t hash) {
  return probe(node_slots_, static_cast<std::uint32_t>(hash), [&](const Slot& slot) { return nodes_[slot.node].path == path; });
}

Index::Slot* Index::module_slot(std::string_view stem, std::uint64_t hash) {
  return probe(module_slots_, static_cast<std::uint32_t>(hash), [&](const Slot& slot) { return is_module_at(nodes_[slot.node].path, stem); });
}

// Suffixes in the order in which CPython's FileFinder tries them: extensions, source, bytecode.
std::size_t Index::suffix_rank(std::string_view suffix) const {
  if (suffix == ".py") return suffixes_.size();
  if (suffix == ".pyc") return suffixes_.size() + 1;
  const auto at = std::find(suffixes_.begin(), suffixes_.end(), suffix);
  return at == suffixes_.end() ? kNoModule : static_cast<std::size_t>(at - suffixes_.begin());
}

// The lowest rank of a stem wins: a package comes before a module.
std::size_t Index::rank_of(std::string_view path, std::string_view stem) const {
  const std::string_view rest = path.substr(stem.size());
  return rest.front() == '/' ? suffix_rank(rest.substr(kInit.size())) : suffix_rank(rest) + suffixes_.size() + 2;
}

void Index::put_module(std::string_view stem, std::uint64_t hash, std::uint32_t node) {
  if ((module_count_ + 1) * 2 > module_slots_.size()) grow(module_slots_, module_slots_.size() * 2);
  Slot* slot = module_slot(stem, hash);
  if (slot->node == kNone) {
    ++module_count_;
  } else if (const Node& other = nodes_[slot->node]; !other.directory && rank_of(other.path, stem) <= rank_of(nodes_[node].path, stem)) {
    return;
  }
  *slot = {static_cast<std::uint32_t>(hash), node};
}

// Looking up changes nothing; the functions that give a slot also serve building.
std::optional<std::uint32_t> Index::find(std::string_view path) const {
  const std::uint32_t node = const_cast<Index*>(this)->node_slot(path, hash_bytes(path))->node;
  if (node == kNone) return std::nullopt;
  return node;
}

std::optional<Module> Index::find_module(std::string_view stem) const {
  const std::uint32_t number = const_cast<Index*>(this)->module_slot(stem, hash_bytes(stem))->node;
  if (number == kNone) {
    const auto directory = find(stem);
    if (!directory || !nodes_[*directory].directory) return std::nullopt;
    return Module{.stem = nodes_[*directory].path, .node = *directory};
  }
  const Node& node = nodes_[number];
  if (node.directory) return std::nullopt;  // "x.py" that is the directory of other members
  const std::size_t kinds = suffixes_.size() + 2;
  const std::size_t rank = rank_of(node.path, stem);
  Module module{.stem = node.path.substr(0, stem.size()), .node = number, .package = rank < kinds};
  module.kind = rank % kinds < suffixes_.size()    ? ModuleKind::kExtension
                : rank % kinds == suffixes_.size() ? ModuleKind::kSource
                                                   : ModuleKind::kBytecode;
  return module;
}

}  // namespace intact
