// Finding the directories in one pass over the members' names, making a directory's table, and looking things up.
//
// Tables use open addressing with linear probing, are at most four fifths full, and keep 32 bits of the hash beside the
// number, so that a miss touches no string. A table has as many slots as it needs, not a power of two: a hash's place
// is its share of them.
//
// Names that clash: the last member of a name wins, as in zipfile. A name that is both a file and the directory of
// other members is a directory.

#include "core/tree/index.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/path.h"

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
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
      value = reinterpret_cast<std::uintptr_t>(&value);
    return value;
  }();
  return seed;
}

// The place of the slot that `matches` among those of the same hash, or of the empty one where it would go.
template <typename Slot, typename Matches>
Slot& first_fit(std::span<Slot> slots, std::uint64_t hash, Matches matches) {
  const auto kept = static_cast<std::uint32_t>(hash);
  for (std::size_t i = (kept * std::uint64_t{slots.size()}) >> 32;; i = i + 1 == slots.size() ? 0 : i + 1) {
    if (slots[i].node == kNone || (slots[i].hash == kept && matches(slots[i].node))) return slots[i];
  }
}

// Slots for that many keys: never full, for probing ends at an empty one.
std::size_t room_for(std::size_t keys) { return keys + keys / 4 + 1; }

// How a path divides: the length of its directory with the '/', 0 at the top.
std::size_t base_of(std::string_view path) { return path.rfind('/') + 1; }  // npos + 1 is 0

std::string_view directory_part(std::string_view path, std::size_t base) {
  return path.substr(0, base == 0 ? 0 : base - 1);
}

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

Index::Index(const Archive& archive, std::vector<std::string> prefixes, const ImportRules& rules)
    : archive_(archive), prefixes_(std::move(prefixes)), suffixes_(rules.extension_suffixes) {
  directories_.emplace_back();
  last_runs_.push_back(kNone);
  put_directories(64);
  for (std::size_t i = 0; i < archive.size();) i = add_run(i);
  // Nothing is added any more.
  directories_.shrink_to_fit();
  runs_.shrink_to_fit();
  last_runs_ = {};
  put_directories(room_for(directories_.size()));
  tables_ = std::make_unique<Lazy<Table>[]>(directories_.size());
}

// Adds members from `first` on that lie in the same directory; gives the number of the next one.
std::size_t Index::add_run(std::size_t first) {
  const MemberName member = archive_.member_name(first);
  const std::string_view path = without_prefix(member.path);
  if (member.directory) {
    if (is_reachable(path)) directories_[directory_of(path)].member = static_cast<std::uint32_t>(first);
    return first + 1;
  }
  const std::size_t base = base_of(path), stripped = member.path.size() - path.size();
  const std::string_view beginning = member.path.substr(0, stripped + base);
  const auto belongs = [&](const MemberName& other) {
    return !other.directory && other.path.starts_with(beginning) &&
           other.path.find('/', beginning.size()) == std::string_view::npos;
  };
  std::size_t end = first + 1;
  while (end < archive_.size() && belongs(archive_.member_name(end))) ++end;
  if (!is_reachable(path.substr(0, base))) return end;
  const std::uint32_t directory = directory_of(directory_part(path, base));
  const auto number = static_cast<std::uint32_t>(runs_.size());
  std::uint32_t& last = last_runs_[directory];
  (last == kNone ? directories_[directory].first_run : runs_[last].next) = number;
  last = number;
  runs_.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(end),
                   static_cast<std::uint32_t>(stripped + base)});
  return end;
}

// The directory at `path`, made with its parents where it is missing.
std::uint32_t Index::directory_of(std::string_view path) {
  if (const std::uint32_t known = find_directory(path); known != kNone) return known;
  const std::size_t base = base_of(path);
  const std::uint32_t parent = directory_of(directory_part(path, base));
  if (path.substr(base) == kPycache) has_bytecode_cache_ = true;
  const std::uint32_t number = directory_count();
  directories_.push_back({.path = path, .next_sibling = std::exchange(directories_[parent].first_inner, number)});
  last_runs_.push_back(kNone);
  if (directories_.size() * 2 > directory_slots_.size())
    put_directories(directory_slots_.size() * 2);
  else
    put_directory(number);
  return number;
}

void Index::put_directory(std::uint32_t number) {
  const std::uint64_t hash = hash_bytes(directories_[number].path);
  first_fit(std::span(directory_slots_), hash, [](std::uint32_t) { return false; }) = {static_cast<std::uint32_t>(hash),
                                                                                       number};
}

void Index::put_directories(std::size_t room) {
  directory_slots_ = std::vector<Slot>(room);
  for (std::uint32_t i = 1; i < directory_count(); ++i) put_directory(i);
}

const Index::Table& Index::table(std::uint32_t directory) const {
  return tables_[directory].get([&] { return make_table(directory); });
}

Index::Table Index::make_table(std::uint32_t directory) const {
  const Directory& made = directories_[directory];
  std::size_t inner = 0, files = 0;
  for (std::uint32_t i = made.first_inner; i != kNone; i = directories_[i].next_sibling) ++inner;
  for (std::uint32_t i = made.first_run; i != kNone; i = runs_[i].next) files += runs_[i].end - runs_[i].first;
  Table table(static_cast<std::uint32_t>(room_for(inner + 2 * files)));
  for (std::uint32_t i = made.first_inner; i != kNone; i = directories_[i].next_sibling) {
    const std::string_view name = node(i).name();
    const std::uint64_t hash = hash_bytes(name);
    slot_of(table, name, hash, 0) = {static_cast<std::uint32_t>(hash), i};
  }
  for (std::uint32_t i = made.first_run; i != kNone; i = runs_[i].next) {
    const std::size_t stripped = runs_[i].base - (directory == 0 ? 0 : made.path.size() + 1);
    for (std::uint32_t member = runs_[i].first; member < runs_[i].end; ++member) {
      const std::string_view path = archive_.member_name(member).path;
      if (is_reachable(path.substr(stripped))) add_file(table, path.substr(runs_[i].base), file_number(member));
    }
  }
  const std::uint32_t init = slot_of(table, kInit, hash_bytes(kInit), kStemKey).node;
  if (init != kNone && directory != 0) table.init = init & ~kStemKey;
  return table;
}

void Index::add_file(Table& table, std::string_view name, std::uint32_t node) const {
  const std::uint64_t hash = hash_bytes(name);
  Slot& named = slot_of(table, name, hash, 0);
  const std::uint32_t before = named.node;  // a member of the same name, which has lost
  if (before != kNone && is_directory(before)) return;
  named = {static_cast<std::uint32_t>(hash), node};
  const std::size_t rank = rank_of(name);
  if (rank == kNoModule) return;
  const std::string_view stem = stem_of(name);
  const std::uint64_t stem_hash = hash_bytes(stem);
  Slot& module = slot_of(table, stem, stem_hash, kStemKey);
  const std::uint32_t known = module.node & ~kStemKey;
  if (module.node == kNone || known == before || rank < rank_of(this->node(known).name()))
    module = {static_cast<std::uint32_t>(stem_hash), node | kStemKey};
}

Index::Slot& Index::slot_of(const Table& table, std::string_view key, std::uint64_t hash, std::uint32_t kind) const {
  return first_fit(table.all(), hash, [&](std::uint32_t number) {
    if ((number & kStemKey) != kind) return false;
    const std::string_view name = node(number & ~kStemKey).name();
    return kind == 0 ? name == key : stem_of(name) == key;
  });
}

std::vector<Child> Index::children(std::uint32_t directory) const {
  std::vector<Child> found;
  for (const Slot& slot : table(directory).all()) {
    if ((slot.node & kStemKey) == 0) found.push_back({node(slot.node).name(), slot.node});
  }
  std::sort(found.begin(), found.end(), [](const Child& a, const Child& b) { return a.node < b.node; });
  return found;
}

// The part of a member's path that counts: what stands behind a prefix, or behind a wheel's .data/purelib and
// .data/platlib (binary distribution format, "The .data directory").
std::string_view Index::without_prefix(std::string_view path) const {
  for (const std::string& prefix : prefixes_) {
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

std::uint32_t Index::find_directory(std::string_view path) const {
  if (path.empty()) return 0;
  const auto matches = [&](std::uint32_t number) { return directories_[number].path == path; };
  return first_fit(std::span(directory_slots_), hash_bytes(path), matches).node;
}

// Suffixes in the order in which CPython's FileFinder tries them: extensions, source, bytecode.
std::size_t Index::suffix_rank(std::string_view suffix) const {
  if (suffix == ".py") return suffixes_.size();
  if (suffix == ".pyc") return suffixes_.size() + 1;
  const auto at = std::find(suffixes_.begin(), suffixes_.end(), suffix);
  return at == suffixes_.end() ? kNoModule : static_cast<std::size_t>(at - suffixes_.begin());
}

std::size_t Index::rank_of(std::string_view name) const { return suffix_rank(name.substr(stem_of(name).size())); }

Node Index::node(std::uint32_t number) const {
  if (is_directory(number)) return {directories_[number].path, directories_[number].member, true};
  const std::uint32_t member = number - directory_count();
  return {without_prefix(archive_.member_name(member).path), member, false};
}

std::optional<std::uint32_t> Index::find(std::string_view path) const {
  if (path.empty()) return 0;
  if (path.front() == '/') return std::nullopt;
  const std::size_t base = base_of(path);
  const std::uint32_t directory = find_directory(directory_part(path, base));
  if (directory == kNone) return std::nullopt;
  const std::string_view name = path.substr(base);
  const std::uint32_t found = slot_of(table(directory), name, hash_bytes(name), 0).node;
  return found == kNone ? std::nullopt : std::optional(found);
}

std::optional<Module> Index::find_module(std::string_view stem) const {
  const std::size_t base = base_of(stem);
  const std::uint32_t directory = find_directory(directory_part(stem, base));
  if (stem.empty() || stem.front() == '/' || directory == kNone) return std::nullopt;
  const Table& within = table(directory);
  const std::string_view name = stem.substr(base);
  const std::uint64_t hash = hash_bytes(name);
  const std::uint32_t inner = slot_of(within, name, hash, 0).node;
  const bool is_portion = inner != kNone && is_directory(inner);
  std::uint32_t chosen = is_portion ? table(inner).init : kNone;
  const bool package = chosen != kNone;
  if (!package) {
    const std::uint32_t beside = slot_of(within, name, hash, kStemKey).node;
    if (beside != kNone) chosen = beside & ~kStemKey;
  }
  if (chosen == kNone) {
    if (!is_portion) return std::nullopt;
    return Module{.stem = directories_[inner].path, .node = inner};
  }
  const Node file = node(chosen);
  const std::size_t rank = rank_of(file.name());
  Module module{.stem = file.path.substr(0, stem.size()), .node = chosen, .package = package};
  module.kind = rank < suffixes_.size()    ? ModuleKind::kExtension
                : rank == suffixes_.size() ? ModuleKind::kSource
                                           : ModuleKind::kBytecode;
  return module;
}

const std::vector<std::uint32_t>& Index::files() const {
  return files_.get([&] {
    std::vector<std::uint32_t> found;
    for (std::uint32_t number = directory_count(); number < size(); ++number) {
      if (find(node(number).path) == number) found.push_back(number);
    }
    found.shrink_to_fit();
    return found;
  });
}

const std::vector<std::uint32_t>& Index::shared_objects() const {
  return shared_objects_.get([&] {
    std::vector<std::uint32_t> found;
    for (std::uint32_t number = directory_count(); number < size(); ++number) {
      const Node file = node(number);
      const std::string_view suffix = file.name().substr(stem_of(file.name()).size());
      const bool likely = suffix.ends_with(".so") || suffix.find(".so.") != suffix.npos;
      if (likely && find(file.path) == number) found.push_back(number);
    }
    return found;
  });
}

std::optional<std::uint32_t> Index::find_shared_object(std::string_view base_name) const {
  for (const std::uint32_t number : shared_objects()) {
    if (node(number).name() == base_name) return number;
  }
  return std::nullopt;
}

}  // namespace intact
