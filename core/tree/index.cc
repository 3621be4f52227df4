// Building the tables in one pass over the members, and looking things up in them.
//
// Tables use open addressing with linear probing, are at most four fifths full, and keep 32 bits of the hash beside the number, so
// that a miss touches no string.
//
// Names that clash: the last member of a name wins, as in zipfile. A name that is both a file and the directory of
// other members is a directory.

#include "core/tree/index.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace intact {
namespace {

constexpr std::string_view kInit = "__init__";
constexpr std::string_view kPycache = "__pycache__";

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <std::size_t size>
std::uint64_t load(const char* bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);
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

// The slot that `matches` among those of the same hash, or the empty one where it would go.
template <typename Slot, typename Matches>
Slot* first_fit(Slot* slots, std::size_t capacity, std::uint64_t hash, Matches matches) {
  for (std::size_t i = hash & (capacity - 1);; i = (i + 1) & (capacity - 1)) {
    if (slots[i].node == kNone || (slots[i].hash == static_cast<std::uint32_t>(hash) && matches(slots[i]))) return &slots[i];
  }
}

template <typename Slot>
void put(Slot* slots, std::size_t capacity, std::uint64_t hash, std::uint32_t node) {
  *first_fit(slots, capacity, hash, [](const Slot&) { return false; }) = {static_cast<std::uint32_t>(hash), node};
}

// How a path divides: the length of its directory with the '/', 0 at the top.
std::size_t base_of(std::string_view path) { return path.rfind('/') + 1; }  // npos + 1 is 0

std::string_view directory_part(std::string_view path, std::size_t base) { return path.substr(0, base == 0 ? 0 : base - 1); }

std::string_view stem_of(std::string_view name) { return name.substr(0, name.find('.')); }

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = process_seed() ^ (left * 0x9e3779b97f4a7c15u);
  for (; left > 16; at += 8, left -= 8) hash = fold(hash ^ load<8>(at), 0xd6e8feb86659fd93u);
  // The last sixteen bytes or fewer in two loads that may overlap.
  std::uint64_t first = 0, last = 0;
  if (left >= 8) {
    first = load<8>(at), last = load<8>(at + left - 8);
  } else if (left >= 4) {
    first = load<4>(at), last = load<4>(at + left - 4);
  } else if (left > 0) {
    first = load<1>(at) | load<1>(at + left / 2) << 8, last = load<1>(at + left - 1);
  }
  return fold(hash ^ first, 0xa0761d6478bd642fu ^ last) ^ hash;
}

Index::Index(const Archive& archive, const std::vector<std::string>& prefixes, const ImportRules& rules)
    : suffixes_(rules.extension_suffixes) {
  const std::size_t count = archive.members().size();
  nodes_.reserve(count + count / 8 + 8);
  slots_.reserve(count * 3);
  directory_slots_.resize(64);
  nodes_.push_back({.path = {}, .directory = true});
  directories_.push_back({});
  for (std::size_t i = 0; i < count;) i = add_run(archive.members(), prefixes, i);
  file_count_ = nodes_.size() - directories_.size();  // every directory has a node
}

// Adds members from `first` on that lie in the same directory; gives the number of the next one.
std::size_t Index::add_run(std::span<const Member> members, const std::vector<std::string>& prefixes, std::size_t first) {
  const std::string_view whole = members[first].path;
  const std::string_view path = without_prefix(whole, prefixes);
  if (members[first].directory) {
    if (reachable(path)) nodes_[directories_[directory_of(path)].node].member = static_cast<std::uint32_t>(first);
    return first + 1;
  }
  const std::size_t base = base_of(path), stripped = whole.size() - path.size();
  const std::string_view beginning = whole.substr(0, stripped + base);
  const auto belongs = [&](const Member& member) {
    return !member.directory && member.path.starts_with(beginning) && member.path.find('/', beginning.size()) == std::string_view::npos;
  };
  std::size_t end = first + 1;
  while (end < members.size() && belongs(members[end])) ++end;
  if (!reachable(path.substr(0, base))) return end;
  const std::uint32_t directory = directory_of(directory_part(path, base));
  reserve(directory, 2 * (end - first));
  for (std::size_t i = first; i < end; ++i) {
    const std::string_view member = members[i].path.substr(stripped);
    if (reachable(member)) add_file(directory, member, base, static_cast<std::uint32_t>(i));
  }
  return end;
}

void Index::add_file(std::uint32_t directory, std::string_view path, std::size_t base, std::uint32_t member) {
  const std::uint32_t node = insert_node(directory, path, base, member);
  if (nodes_[node].directory) return;
  const std::string_view name = path.substr(base);
  const std::size_t dot = name.find('.');
  const std::size_t rank = dot == name.npos ? kNoModule : suffix_rank(name.substr(dot));
  if (rank != kNoModule) insert_stem(directory, name.substr(0, dot), rank, node);
  const bool shared_object = rank < suffixes_.size() || (rank == kNoModule && dot != name.npos && name.find(".so", dot) != name.npos);
  if (shared_object) shared_objects_.push_back(node);
}

// The directory at `path`, made with its parents where it is missing.
std::uint32_t Index::directory_of(std::string_view path) {
  if (const std::uint32_t known = find_directory(path); known != kNone) return known;
  const std::size_t base = base_of(path);
  const std::uint32_t parent = directory_of(directory_part(path, base));
  reserve(parent, 1);
  const std::uint32_t node = insert_node(parent, path, base, kNone);
  nodes_[node].directory = true;  // also where there is a file of the same name: the directory wins
  nodes_[node].member = kNone;
  if (path.substr(base) == kPycache) has_bytecode_cache_ = true;
  directories_.push_back({.node = node});
  if (directories_.size() * 2 > directory_slots_.size()) {
    directory_slots_.assign(directory_slots_.size() * 2, Slot());
    for (std::uint32_t i = 1; i < directories_.size(); ++i) put_directory(i);
  } else {
    put_directory(static_cast<std::uint32_t>(directories_.size() - 1));
  }
  return static_cast<std::uint32_t>(directories_.size() - 1);
}

void Index::put_directory(std::uint32_t number) {
  put(directory_slots_.data(), directory_slots_.size(), hash_bytes(nodes_[directories_[number].node].path), number);
}

// The node of a name in a directory, made if it is missing. A file that is there already is the later member from now on.
std::uint32_t Index::insert_node(std::uint32_t directory, std::string_view path, std::size_t base, std::uint32_t member) {
  const std::uint64_t hash = hash_bytes(path.substr(base));
  Slot* slot = probe(directory, path.substr(base), hash, 0);
  if (slot->node != kNone) {
    if (!nodes_[slot->node].directory) nodes_[slot->node].member = member;
    return slot->node;
  }
  const auto number = static_cast<std::uint32_t>(nodes_.size());
  *slot = {static_cast<std::uint32_t>(hash), number};
  ++directories_[directory].used;
  const std::uint32_t sibling = std::exchange(nodes_[directories_[directory].node].first_child, number);
  nodes_.push_back({.path = path, .member = member, .next_sibling = sibling});
  return number;
}

void Index::insert_stem(std::uint32_t directory, std::string_view stem, std::size_t rank, std::uint32_t node) {
  const auto better = [&](std::uint32_t other) { return nodes_[other].directory || rank < rank_of(other); };
  const std::uint64_t hash = hash_bytes(stem);
  Slot* slot = probe(directory, stem, hash, kStemKey);
  if (slot->node == kNone) {
    *slot = {static_cast<std::uint32_t>(hash), node | kStemKey};
    ++directories_[directory].used;
  } else if (better(slot->node & ~kStemKey)) {
    slot->node = node | kStemKey;
  }
  if (stem == kInit && directory != 0) {
    std::uint32_t& init = nodes_[directories_[directory].node].init;
    if (init == kNone || better(init)) init = node;
  }
}

// Makes room for `more` keys in a directory's table, which moves to the end of slots_ if it has to grow.
void Index::reserve(std::uint32_t directory, std::size_t more) {
  Directory& table = directories_[directory];
  const std::size_t wanted = (table.used + more) * 5 / 4 + 1;  // never quite full: probing ends at an empty slot
  if (wanted <= table.capacity) return;
  const Directory old = table;
  table.capacity = static_cast<std::uint32_t>(std::bit_ceil(wanted));
  table.start = static_cast<std::uint32_t>(slots_.size());
  slots_.resize(slots_.size() + table.capacity);
  for (std::uint32_t i = 0; i < old.capacity; ++i) {
    const Slot slot = slots_[old.start + i];
    if (slot.node != kNone) put(slots_.data() + table.start, table.capacity, slot.hash, slot.node);
  }
}

std::uint32_t Index::find_directory(std::string_view path) const {
  if (path.empty()) return 0;
  return first_fit(directory_slots_.data(), directory_slots_.size(), hash_bytes(path), [&](const Slot& slot) {
           return nodes_[directories_[slot.node].node].path == path;
         })->node;
}

// The slot of a name (kind 0) or a stem (kStemKey) in a directory's table, or the empty one where it would go.
Index::Slot* Index::probe(std::uint32_t directory, std::string_view key, std::uint64_t hash, std::uint32_t kind) const {
  const Directory& table = directories_[directory];
  return first_fit(slots_.data() + table.start, table.capacity, hash, [&](const Slot& slot) {
    if ((slot.node & kStemKey) != kind) return false;
    const std::string_view name = nodes_[slot.node & ~kStemKey].name();
    return kind == 0 ? name == key : stem_of(name) == key;
  });
}

// Suffixes in the order in which CPython's FileFinder tries them: extensions, source, bytecode.
std::size_t Index::suffix_rank(std::string_view suffix) const {
  if (suffix == ".py") return suffixes_.size();
  if (suffix == ".pyc") return suffixes_.size() + 1;
  const auto at = std::find(suffixes_.begin(), suffixes_.end(), suffix);
  return at == suffixes_.end() ? kNoModule : static_cast<std::size_t>(at - suffixes_.begin());
}

std::size_t Index::rank_of(std::uint32_t node) const {
  const std::string_view name = nodes_[node].name();
  return suffix_rank(name.substr(stem_of(name).size()));
}

std::optional<std::uint32_t> Index::find(std::string_view path) const {
  if (path.empty()) return 0;
  if (path.front() == '/') return std::nullopt;
  const std::size_t base = base_of(path);
  const std::uint32_t directory = find_directory(directory_part(path, base));
  if (directory == kNone || directories_[directory].capacity == 0) return std::nullopt;
  const std::uint32_t node = probe(directory, path.substr(base), hash_bytes(path.substr(base)), 0)->node;
  if (node == kNone) return std::nullopt;
  return node;
}

std::optional<Module> Index::find_module(std::string_view stem) const {
  const std::size_t base = base_of(stem);
  const std::uint32_t directory = find_directory(directory_part(stem, base));
  if (stem.empty() || stem.front() == '/' || directory == kNone || directories_[directory].capacity == 0) return std::nullopt;
  const std::string_view name = stem.substr(base);
  const std::uint64_t hash = hash_bytes(name);
  const std::uint32_t named = probe(directory, name, hash, 0)->node;
  const bool is_directory = named != kNone && nodes_[named].directory;
  std::uint32_t chosen = is_directory ? nodes_[named].init : kNone;
  const bool package = chosen != kNone && !nodes_[chosen].directory;
  if (!package) {
    const std::uint32_t beside = probe(directory, name, hash, kStemKey)->node;
    chosen = beside == kNone ? kNone : beside & ~kStemKey;
  }
  if (chosen == kNone || nodes_[chosen].directory) {  // "x.py" may be the directory of other members
    if (!is_directory) return std::nullopt;
    return Module{.stem = nodes_[named].path, .node = named};
  }
  const std::size_t rank = rank_of(chosen);
  Module module{.stem = nodes_[chosen].path.substr(0, stem.size()), .node = chosen, .package = package};
  module.kind = rank < suffixes_.size()    ? ModuleKind::kExtension
                : rank == suffixes_.size() ? ModuleKind::kSource
                                           : ModuleKind::kBytecode;
  return module;
}

}  // namespace intact
