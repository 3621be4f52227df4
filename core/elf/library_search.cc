#include "core/elf/library_search.h"

#include "core/base/path.h"

namespace intact {

namespace {

constexpr int kMaxLoaders = 64;  // how far DT_RPATH is inherited

std::optional<Place> file_only(std::optional<Place> place) {
  if (place && place->directory()) return std::nullopt;
  return place;
}

// The file at an absolute path: in the scope's own mount, in whatever the tree has there, and at the same place below
// another root.
std::optional<Place> find_file(const Snapshot& tree, const Mount& own, const std::string& path) {
  const std::string& root = own.root();
  const bool below = path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/';
  const std::string_view rest = below ? std::string_view(path).substr(root.size() + 1) : std::string_view();
  if (below) {
    if (const auto node = own.index().find(rest); node && !own.index().is_directory(*node)) {
      for (const MountPtr& mount : tree.mounts()) {
        if (mount.get() == &own) return Place{mount, *node};
      }
    }
  }
  const Viewer viewer = own.options().owner;
  if (auto place = file_only(tree.lookup(path, viewer))) return place;
  if (below) {
    for (Place& place : tree.lookup_all(rest, viewer)) {
      if (!place.directory()) return std::move(place);
    }
  }
  return std::nullopt;
}

// `entry` with $ORIGIN in front replaced; nothing for what cannot lie in an archive: relative paths (to the working
// directory), the empty entry, $LIB and $PLATFORM.
std::optional<std::string> expand(std::string_view entry, const std::string& origin) {
  std::string path;
  for (const std::string_view token : {"$ORIGIN", "${ORIGIN}"}) {
    if (entry.starts_with(token)) path = origin, entry.remove_prefix(token.size());
  }
  path += entry;
  if (!path.starts_with('/') || path.find('$') != std::string::npos) return std::nullopt;
  return path;
}

std::optional<Place> find_in_list(const Snapshot& tree, const Mount& own, const SearchScope& scope,
                                  std::string_view list, std::string_view name) {
  while (true) {
    const std::size_t colon = list.find(':');
    if (auto directory = expand(list.substr(0, colon), scope.directory)) {
      ((*directory += '/') += name);
      if (auto place = find_file(tree, own, normal_path(*directory))) return place;
    }
    if (colon == std::string_view::npos) return std::nullopt;
    list.remove_prefix(colon + 1);
  }
}

}  // namespace

std::optional<Place> find_by_path(const Snapshot& tree, const SearchScope& scope, std::string_view name) {
  const MountPtr own = scope.mount.lock();
  if (!own) return std::nullopt;
  if (name.find('/') != std::string_view::npos) {
    const auto path = expand(name, scope.directory);
    return path ? find_file(tree, *own, normal_path(*path)) : std::nullopt;
  }
  if (scope.runpath) return find_in_list(tree, *own, scope, *scope.runpath, name);
  const SearchScope* loader = &scope;
  for (int depth = 0; loader && depth < kMaxLoaders; loader = loader->loader.get(), ++depth) {
    const MountPtr mount = loader->mount.lock();
    if (!loader->rpath || loader->runpath || !mount) continue;
    if (auto place = find_in_list(tree, *mount, *loader, *loader->rpath, name)) return place;
  }
  return std::nullopt;
}

std::optional<Place> find_by_name(const Snapshot& tree, const MountPtr& own, std::string_view name) {
  // Not asked of the tree: a mount that is not published has its own libraries all the same.
  if (const auto node = own ? own->index().find_shared_object(name) : std::nullopt) return Place{own, *node};
  return tree.find_shared_object(name, own ? own->options().owner : kAnyone);
}

}  // namespace intact
