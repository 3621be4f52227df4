// Which member a link is, is settled when the archive is opened, as the kernel's path walk would: component by
// component, each of which may be a link again.
//
// Links to directories are listed out, because the index knows directories by what lies in them. Where such a listing
// would contain itself it has no end: a link that leads to a directory in which it lies, itself or by way of the links
// that are being listed, is a circle.

#include "core/archive/links.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace intact {

namespace {

constexpr std::size_t kLongestPath = 4095;      // PATH_MAX without its NUL
constexpr int kMostLinks = 40;                  // followed on the way to one member, as by Linux
constexpr std::size_t kMostListed = 100'000;    // members looked at in directories that links lead to
constexpr std::size_t kMostSteps = 10'000'000;  // components of all paths walked, and 64 bytes of a path copied

bool is_link(const Member& member) { return !member.directory && S_ISLNK(member.mode); }

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool is_below(std::string_view path, std::string_view directory) {
  return directory.empty() ||
         (path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/');
}

class LinkedArchive final : public Archive {
 public:
  static constexpr std::uint32_t kOwn = UINT32_MAX;
  struct Item {
    std::uint32_t inner = 0;
    std::uint32_t path = kOwn;  // its number in names_; else the inner one's own
  };

  LinkedArchive(std::unique_ptr<Archive> inner, std::vector<Item> items, std::deque<std::string> names,
                std::size_t left_out)
      : Archive(inner->name()),
        inner_(std::move(inner)),
        items_(std::move(items)),
        names_(std::move(names)),
        left_out_(left_out) {}

  const char* format() const override { return inner_->format(); }
  std::size_t size() const override { return items_.size(); }
  Member member(std::size_t index) const override {
    Member member = inner_->member(items_[index].inner);
    if (items_[index].path != kOwn) member.path = names_[items_[index].path];
    return member;
  }
  MemberName member_name(std::size_t index) const override {
    MemberName name = inner_->member_name(items_[index].inner);
    if (items_[index].path != kOwn) name.path = names_[items_[index].path];
    return name;
  }
  std::size_t unreachable() const override { return inner_->unreachable() + left_out_; }
  std::int64_t mtime(std::size_t index) const override { return inner_->mtime(items_[index].inner); }
  int descriptor() const override { return inner_->descriptor(); }
  const Input* input() const override { return inner_->input(); }
  Result<Bytes> read(std::size_t index) const override { return inner_->read(items_[index].inner); }
  Result<void> read_into(std::size_t index, std::span<std::byte> target) const override {
    return inner_->read_into(items_[index].inner, target);
  }
  Result<std::optional<Extent>> extent(std::size_t index) const override { return inner_->extent(items_[index].inner); }
  Result<void> check(std::size_t index) const override { return inner_->check(items_[index].inner); }

 private:
  std::unique_ptr<Archive> inner_;
  std::vector<Item> items_;
  std::deque<std::string> names_;
  std::size_t left_out_;
};

class Follower {
 public:
  explicit Follower(std::unique_ptr<Archive> archive) : archive_(std::move(archive)) {}

  Result<std::unique_ptr<Archive>> run(const Limits& limits) &&;

 private:
  static constexpr std::size_t kImplied = SIZE_MAX;  // a directory that no member names

  void learn_names();
  // Where a path leads, links on its way followed: a path that is a member's or a directory's, "" for the root.
  std::optional<std::string> resolve(std::string_view path, int& followed);
  bool is_directory(const std::string& path) const;
  std::optional<std::string> target_of(std::size_t link) const;
  void add(std::size_t inner, std::string path);
  bool follow(std::size_t link, const std::string& as);
  void list(std::string_view directory, const std::string& as);

  std::unique_ptr<Archive> archive_;
  std::unordered_map<std::string_view, std::size_t> known_;  // path -> its last member, or kImplied
  std::vector<std::string_view> sorted_;                     // those paths
  std::vector<std::string_view> under_way_;                  // links that are being listed
  std::vector<LinkedArchive::Item> items_;
  std::deque<std::string> names_;
  std::size_t left_out_ = 0;
  std::size_t listed_ = 0;
  std::size_t steps_ = 0;
};

void Follower::learn_names() {
  for (std::size_t i = 0; i < archive_->size(); ++i) {
    const std::string_view path = archive_->member_name(i).path;
    known_.insert_or_assign(path, i);
    for (std::string_view parent = parent_of(path); !parent.empty(); parent = parent_of(parent)) {
      if (!known_.try_emplace(parent, kImplied).second) break;
    }
  }
  for (const auto& [path, member] : known_) sorted_.push_back(path);
  std::sort(sorted_.begin(), sorted_.end());
}

std::optional<std::string> Follower::target_of(std::size_t link) const {
  if (archive_->member(link).size > kLongestPath) return std::nullopt;
  const auto target = archive_->read(link);
  if (!target || target->size() == 0 || target->text().front() == '/') return std::nullopt;
  if (target->text().find('\0') != std::string_view::npos) return std::nullopt;
  return std::string(target->text());
}

std::optional<std::string> Follower::resolve(std::string_view path, int& followed) {
  std::string at;  // what has been walked: no links in it
  while (!path.empty()) {
    steps_ += 1 + at.size() / 64;
    if (steps_ > kMostSteps) return std::nullopt;
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    const bool goes_on = slash < path.size();
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (at.empty()) return std::nullopt;
      at = std::string(parent_of(at));
      continue;
    }
    std::string next = at.empty() ? std::string(part) : at + '/' + std::string(part);
    const auto member = known_.find(next);
    if (member == known_.end()) return std::nullopt;
    if (member->second != kImplied && is_link(archive_->member(member->second))) {
      if (++followed > kMostLinks) return std::nullopt;
      const auto target = target_of(member->second);
      if (!target) return std::nullopt;
      const auto there = resolve(at.empty() ? *target : at + '/' + *target, followed);
      if (!there) return std::nullopt;
      next = *there;
    }
    if (goes_on && !is_directory(next)) return std::nullopt;
    at = std::move(next);
  }
  return at;
}

// A file is one too where other members lie below it: the index says so.
bool Follower::is_directory(const std::string& path) const {
  const auto member = known_.find(path);
  if (member == known_.end() || member->second == kImplied) return true;  // the root, or named by what lies in it
  if (archive_->member_name(member->second).directory) return true;
  const auto below = std::lower_bound(sorted_.begin(), sorted_.end(), path + '/');
  return below != sorted_.end() && is_below(*below, path);
}

void Follower::add(std::size_t inner, std::string path) {
  items_.push_back({static_cast<std::uint32_t>(inner), static_cast<std::uint32_t>(names_.size())});
  names_.push_back(std::move(path));
}

// Adds what a link leads to under the path `as`; false if that is nowhere.
bool Follower::follow(std::size_t link, const std::string& as) {
  const std::string_view place = archive_->member_name(link).path;
  int followed = 0;
  const auto there = resolve(place, followed);
  if (!there) return false;
  const auto member = known_.find(*there);
  if (member != known_.end() && member->second != kImplied && !archive_->member_name(member->second).directory) {
    add(member->second, as);
    return true;
  }
  if (under_way_.size() == static_cast<std::size_t>(kMostLinks)) return false;
  under_way_.push_back(place);
  const bool circle =
      std::any_of(under_way_.begin(), under_way_.end(), [&](std::string_view path) { return is_below(path, *there); });
  if (!circle) {
    if (member != known_.end() && member->second != kImplied) add(member->second, as);
    list(*there, as);
  }
  under_way_.pop_back();
  return !circle;
}

void Follower::list(std::string_view directory, const std::string& as) {
  const std::string begin = std::string(directory) + '/';
  for (auto at = std::lower_bound(sorted_.begin(), sorted_.end(), begin);
       at != sorted_.end() && at->starts_with(begin) && ++listed_ <= kMostListed; ++at) {
    const std::size_t member = known_.find(*at)->second;
    if (member == kImplied) continue;
    std::string path = as + std::string(at->substr(directory.size()));
    if (path.size() > kLongestPath) {
      ++left_out_;
    } else if (!is_link(archive_->member(member))) {
      add(member, std::move(path));
    } else if (!follow(member, path)) {
      ++left_out_;
    }
  }
}

Result<std::unique_ptr<Archive>> Follower::run(const Limits& limits) && {
  learn_names();
  for (std::size_t i = 0; i < archive_->size(); ++i) {
    if (!is_link(archive_->member(i))) {
      items_.push_back({static_cast<std::uint32_t>(i)});
    } else if (!follow(i, std::string(archive_->member_name(i).path))) {
      ++left_out_;
    }
    if (listed_ > kMostListed || steps_ > kMostSteps || items_.size() > limits.members)
      return Error{ErrorCode::kArchive, "symbolic links that make more members, or longer ways, than the limit",
                   archive_->name()};
  }
  items_.shrink_to_fit();
  return std::unique_ptr<Archive>(
      std::make_unique<LinkedArchive>(std::move(archive_), std::move(items_), std::move(names_), left_out_));
}

}  // namespace

Result<std::unique_ptr<Archive>> follow_links(std::unique_ptr<Archive> archive, const Limits& limits) {
  if (!archive->has_links()) return archive;
  return Follower(std::move(archive)).run(limits);
}

}  // namespace intact
