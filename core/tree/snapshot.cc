// Looking things up in one state of the tree.

#include <algorithm>

#include "core/base/path.h"
#include "core/tree/tree.h"

namespace intact {
namespace {

bool is_normal(std::string_view rest) { return rest.empty() || member_path(rest) == rest; }

// What can be imported by this name at the top level of a mount: "x" for x/ and x.py; empty for nothing.
std::string_view top_level_name(std::string_view name, bool directory) {
  const std::string_view stem = name.substr(0, name.find('.'));
  return directory && stem.size() != name.size() ? std::string_view() : stem;
}

}  // namespace

bool Root::shown_to(Viewer viewer) const {
  return viewer == kAnyone ||
         std::ranges::any_of(mounts, [=](const MountPtr& mount) { return mount->options().shown_to(viewer); });
}

Snapshot::Snapshot(std::vector<MountPtr> newest_first) : mounts_(std::move(newest_first)) {
  for (const MountPtr& mount : mounts_) {
    add_root(mount->root(), mount);
    if (!mount->real_root().empty()) add_root(mount->real_root(), mount);
  }
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    std::uint32_t outer = i == 0 ? kNone : static_cast<std::uint32_t>(i - 1);
    while (outer != kNone && !roots_[i].path.starts_with(roots_[outer].path)) outer = outer_[outer];
    outer_.push_back(outer);
  }
  add_top_level_names();
}

void Snapshot::add_root(const std::string& path, const MountPtr& mount) {
  auto at = std::lower_bound(roots_.begin(), roots_.end(), path,
                             [](const Root& root, const std::string& other) { return root.path < other; });
  if (at == roots_.end() || at->path != path) at = roots_.insert(at, Root{.path = path});
  at->mounts.push_back(mount);
  at->files |= mount->options().files;
}

void Snapshot::add_top_level_names() {
  std::vector<Slot> names;
  for (std::uint32_t i = 0; i < mounts_.size(); ++i) {
    const Index& index = mounts_[i]->index();
    for (const Child& child : index.children(0)) {
      const bool directory = index.is_directory(child.node);
      const std::string_view name = top_level_name(child.name, directory);
      if (!name.empty() && (directory || index.find_module(name)))
        names.push_back({static_cast<std::uint32_t>(hash_bytes(name)), i});
    }
  }
  top_level_.resize(slots_for(names.size()));
  for (const Slot& name : names)
    put_slot(std::span(top_level_), name.hash, name.number, [&](std::uint32_t mount) { return mount == name.number; });
}

std::vector<const Mount*> Snapshot::top_level(std::string_view name) const {
  std::vector<const Mount*> found;
  find_slot(std::span(top_level_), hash_bytes(name), [&](std::uint32_t mount) {
    found.push_back(mounts_[mount].get());
    return false;
  });
  return found;
}

MountPtr Snapshot::pin(const Mount* mount) const {
  for (const MountPtr& candidate : mounts_) {
    if (candidate.get() == mount) return candidate;
  }
  return nullptr;
}

// Any root that is a prefix of `path` is also a prefix of the greatest root that is not greater than `path`, or is
// that root; outer_ leads from each to the next shorter one.
std::pair<const Root*, std::string_view> Snapshot::root_of(std::string_view path, Viewer viewer) const {
  const auto after = std::upper_bound(roots_.begin(), roots_.end(), path,
                                      [](std::string_view p, const Root& root) { return p < root.path; });
  std::uint32_t i = after == roots_.begin() ? kNone : static_cast<std::uint32_t>(after - roots_.begin() - 1);
  for (; i != kNone; i = outer_[i]) {
    const std::string& root = roots_[i].path;
    if (!path.starts_with(root) || !roots_[i].shown_to(viewer)) continue;
    if (path.size() == root.size()) return {&roots_[i], {}};
    if (path[root.size()] == '/') return {&roots_[i], path.substr(root.size() + 1)};
  }
  return {nullptr, {}};
}

std::pair<const Root*, std::string_view> Snapshot::normal_root_of(std::string_view path, std::string& storage,
                                                                  Viewer viewer) const {
  const auto found = root_of(path, viewer);
  if (found.first == nullptr || is_normal(found.second)) return found;
  storage = normal_path(path);
  return root_of(storage, viewer);
}

std::optional<Place> Snapshot::lookup(const Root& root, std::string_view rest, Viewer viewer) const {
  while (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (!is_normal(rest)) return lookup(normal_path(root.path + "/" + std::string(rest)), viewer);
  for (const MountPtr& mount : root.mounts) {
    if (!mount->options().shown_to(viewer)) continue;
    if (const auto node = mount->index().find(rest)) return Place{mount, *node};
  }
  return std::nullopt;
}

std::optional<Place> Snapshot::lookup(std::string_view path, Viewer viewer) const {
  const auto [root, rest] = root_of(path, viewer);
  return root == nullptr ? std::nullopt : lookup(*root, rest, viewer);
}

std::vector<Place> Snapshot::list(const Root& root, std::string_view rest) const {
  std::vector<Place> found;
  std::vector<std::string_view> seen;  // sorted; only kept where there is more than one layer
  for (const MountPtr& mount : root.mounts) {
    const Index& index = mount->index();
    const auto directory = index.find(rest);
    if (!directory) continue;
    if (!index.is_directory(*directory)) continue;
    for (const auto& [name, node] : index.children(*directory)) {
      if (root.mounts.size() > 1) {
        const auto at = std::lower_bound(seen.begin(), seen.end(), name);
        if (at != seen.end() && *at == name) continue;
        seen.insert(at, name);
      }
      found.push_back({mount, node});
    }
  }
  return found;
}

std::vector<Place> Snapshot::lookup_all(std::string_view path, Viewer viewer) const {
  std::vector<Place> found;
  for (const MountPtr& mount : mounts_) {
    if (!mount->options().shown_to(viewer)) continue;
    if (const auto node = mount->index().find(path)) found.push_back({mount, *node});
  }
  return found;
}

std::optional<Place> Snapshot::find_shared_object(std::string_view base_name, Viewer viewer) const {
  for (const MountPtr& mount : mounts_) {
    if (!mount->options().shown_to(viewer)) continue;
    if (const auto node = mount->index().find_shared_object(base_name)) return Place{mount, *node};
  }
  return std::nullopt;
}

}  // namespace intact
