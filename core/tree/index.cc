// Finding the directories in one pass over the members' names, making a directory's table, and looking things up.
//
// Names that clash: the last member of a name wins, as in zipfile. A name that is both a file and the directory of
// other members is a directory.

#include "core/tree/index.h"

#include <algorithm>
#include <utility>

#include "core/base/path.h"

namespace intact {
namespace {

constexpr std::string_view kInit = "__init__";
constexpr std::string_view kPycache = "__pycache__";

// How a path divides: the length of its directory with the '/', 0 at the top.
std::size_t base_of(std::string_view path) { return path.rfind('/') + 1; }  // npos + 1 is 0

std::string_view directory_part(std::string_view path, std::size_t base) {
  return path.substr(0, base == 0 ? 0 : base - 1);
}

constexpr auto kNoMatch = [](std::uint32_t) { return false; };

std::string_view stem_of(std::string_view name) { return name.substr(0, name.find('.')); }

}  // namespace

Index::Index(const Archive& archive, std::vector<std::string> prefixes, const ImportRules& rules, std::size_t most)
    : archive_(archive), prefixes_(std::move(prefixes)), suffixes_(rules.extension_suffixes) {
  directories_.emplace_back();
  last_runs_.push_back(kNone);
  put_directories(64);
  std::size_t next = 0;
  while (next < archive.size() && directories_.size() - 1 <= most) next = add_run(next);
  whole_ = next == archive.size() && directories_.size() - 1 <= most;
  // Nothing is added any more.
  directories_.shrink_to_fit();
  runs_.shrink_to_fit();
  last_runs_ = std::vector<std::uint32_t>();
  put_directories(slots_for(directories_.size()));
  tables_ = std::make_unique<Lazy<Table>[]>(directories_.size());
}

// Adds members from `first` on that lie in the same directory; gives the number of the next one.
std::size_t Index::add_run(std::size_t first) {
  const MemberName member = archive_.member_name(first);
  const std::string_view path = without_prefix(member.path);
  const auto number = static_cast<std::uint32_t>(first);
  if (member.directory) {
    if (is_reachable(path)) directories_[directory_of(path, number)].member = number | kNamed;
    return first + 1;
  }
  const std::string_view beginning = member.path.substr(0, base_of(member.path));
  const auto belongs = [&](const MemberName& other) {
    return !other.directory && other.path.starts_with(beginning) &&
           other.path.find('/', beginning.size()) == std::string_view::npos;
  };
  std::size_t end = first + 1;
  while (end < archive_.size() && belongs(archive_.member_name(end))) ++end;
  const std::size_t base = base_of(path);
  if (!is_reachable(path.substr(0, base))) return end;
  const std::uint32_t directory = directory_of(directory_part(path, base), number);
  const Run run{number, static_cast<std::uint32_t>(end)};
  Run& files = directories_[directory].files;
  if (files.end == 0) {
    files = run;
    return end;
  }
  std::uint32_t& last = last_runs_[directory];
  (last == kNone ? files : runs_[last]).next = static_cast<std::uint32_t>(runs_.size());
  last = static_cast<std::uint32_t>(runs_.size());
  runs_.push_back(run);
  return end;
}

// The directory at `path`, which is or begins the path of `member`, made with its parents where it is missing.
std::uint32_t Index::directory_of(std::string_view path, std::uint32_t member) {
  if (const std::uint32_t known = find_directory(path); known != kNone) return known;
  const std::size_t base = base_of(path);
  const std::uint32_t parent = directory_of(directory_part(path, base), member);
  if (path.substr(base) == kPycache) has_bytecode_cache_ = true;
  const std::uint32_t number = directory_count();
  directories_.push_back({.member = member,
                          .path_size = static_cast<std::uint32_t>(path.size()),
                          .next_sibling = std::exchange(directories_[parent].first_inner, number)});
  last_runs_.push_back(kNone);
  if (directories_.size() * 2 > directory_slots_.size()) put_directories(directory_slots_.size() * 2);
  put_slot(std::span(directory_slots_), hash_bytes(path), number, kNoMatch);
  return number;
}

void Index::put_directories(std::size_t room) {
  const std::vector<Slot> before = std::exchange(directory_slots_, std::vector<Slot>(room));
  for (const Slot& slot : before) {
    if (slot.number != kNone) put_slot(std::span(directory_slots_), slot.hash, slot.number, kNoMatch);
  }
}

const Index::Run* Index::next(const Run& run) const { return run.next == kNone ? nullptr : &runs_[run.next]; }

// How many files are in a directory, or a number above `most`.
std::size_t Index::count_files(std::uint32_t directory, std::size_t most) const {
  std::size_t count = 0;
  for (const Run* run = &directories_[directory].files; run != nullptr && count <= most; run = next(*run))
    count += run->end - run->first;
  return count;
}

std::span<const Slot> Index::table(std::uint32_t directory, FewSlots& few) const {
  if (const std::size_t count = count_files(directory, kFew); count <= kFew) {
    const auto slots = std::span(few).first(slots_for(2 * count));
    fill(slots, directory);
    return slots;
  }
  return tables_[directory].get([&] {
    Table made(slots_for(2 * count_files(directory, SIZE_MAX)));
    fill(made, directory);
    return made;
  });
}

void Index::fill(std::span<Slot> slots, std::uint32_t directory) const {
  const Directory& filled = directories_[directory];
  const std::size_t inside = filled.path_size + (directory != 0);
  for (const Run* run = &filled.files; run != nullptr; run = next(*run)) {
    for (std::uint32_t member = run->first; member < run->end; ++member) {
      const std::string_view path = member_path(member);
      if (!is_reachable(path) || (filled.first_inner != kNone && find_directory(path) != kNone)) continue;
      add_file(slots, path.substr(inside), file_number(member));
    }
  }
}

// Which number in a slot stands for this name or stem.
auto Index::matching(std::string_view key, std::uint32_t kind) const {
  return [this, key, kind](std::uint32_t number) {
    if ((number & kStemKey) != kind) return false;
    const std::string_view name = node(number & ~kStemKey).name();
    return kind == 0 ? name == key : stem_of(name) == key;
  };
}

void Index::add_file(std::span<Slot> slots, std::string_view name, std::uint32_t node) const {
  const std::uint64_t hash = hash_bytes(name);
  Slot& named = find_slot(slots, hash, matching(name, 0));
  const std::uint32_t before = named.number;  // a member of the same name, which has lost
  named = {static_cast<std::uint32_t>(hash), node};
  const std::size_t rank = rank_of(name);
  if (rank == kNoModule) return;
  const std::string_view stem = stem_of(name);
  const std::uint64_t stem_hash = hash_bytes(stem);
  Slot& module = find_slot(slots, stem_hash, matching(stem, kStemKey));
  const std::uint32_t known = module.number & ~kStemKey;
  if (module.number == kNone || known == before || rank < rank_of(this->node(known).name()))
    module = {static_cast<std::uint32_t>(stem_hash), node | kStemKey};
}

std::uint32_t Index::find_file(std::uint32_t directory, std::string_view key, std::uint32_t kind) const {
  FewSlots few;
  const std::uint32_t found = find_slot(table(directory, few), hash_bytes(key), matching(key, kind)).number;
  return found == kNone ? kNone : found & ~kStemKey;
}

std::vector<Child> Index::children(std::uint32_t directory) const {
  std::vector<Child> found;
  for (std::uint32_t i = directories_[directory].first_inner; i != kNone; i = directories_[i].next_sibling)
    found.push_back({node(i).name(), i});
  FewSlots few;
  for (const Slot& slot : table(directory, few)) {
    if ((slot.number & kStemKey) == 0) found.push_back({node(slot.number).name(), slot.number});
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
  const auto matches = [&](std::uint32_t number) { return node(number).path == path; };
  return find_slot(std::span<const Slot>(directory_slots_), hash_bytes(path), matches).number;
}

// Suffixes in the order in which CPython's FileFinder tries them: extensions, source, bytecode.
std::size_t Index::suffix_rank(std::string_view suffix) const {
  if (suffix == ".py") return suffixes_.size();
  if (suffix == ".pyc") return suffixes_.size() + 1;
  const auto at = std::find(suffixes_.begin(), suffixes_.end(), suffix);
  return at == suffixes_.end() ? kNoModule : static_cast<std::size_t>(at - suffixes_.begin());
}

std::size_t Index::rank_of(std::string_view name) const { return suffix_rank(name.substr(stem_of(name).size())); }

std::string_view Index::member_path(std::uint32_t member) const {
  return without_prefix(archive_.member_name(member).path);
}

Node Index::node(std::uint32_t number) const {
  if (number == 0) return {.path = {}, .directory = true};
  if (is_directory(number)) {
    const Directory& found = directories_[number];
    const std::uint32_t member = found.member & ~kNamed;
    return {member_path(member).substr(0, found.path_size), found.member & kNamed ? member : kNone, true};
  }
  const std::uint32_t member = number - directory_count();
  return {member_path(member), member, false};
}

std::optional<std::uint32_t> Index::find(std::string_view path) const {
  if (const std::uint32_t directory = find_directory(path); directory != kNone) return directory;
  const std::size_t base = base_of(path);
  const std::uint32_t directory = find_directory(directory_part(path, base));
  if (path.front() == '/' || directory == kNone) return std::nullopt;
  const std::uint32_t found = find_file(directory, path.substr(base), 0);
  return found == kNone ? std::nullopt : std::optional(found);
}

std::optional<Module> Index::find_module(std::string_view stem) const {
  const std::size_t base = base_of(stem);
  const std::uint32_t directory = find_directory(directory_part(stem, base));
  if (stem.empty() || stem.front() == '/' || directory == kNone) return std::nullopt;
  const std::uint32_t inner = find_directory(stem);
  const bool is_portion = inner != kNone;
  std::uint32_t chosen = is_portion ? find_file(inner, kInit, kStemKey) : kNone;
  const bool package = chosen != kNone;
  if (!package) chosen = find_file(directory, stem.substr(base), kStemKey);
  if (chosen == kNone) {
    if (!is_portion) return std::nullopt;
    return Module{.stem = node(inner).path, .node = inner};
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
