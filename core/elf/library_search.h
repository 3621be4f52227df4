// Library search: which member of which archive a needed library is.
//
// The order is ld.so's, with the tree in the place of the file system: DT_RPATH of the object and, as ld.so
// inherits it, of those that loaded it; DT_RUNPATH of the object alone, which disables DT_RPATH. $ORIGIN is the
// member's directory below its root. A wheel that is a mount of its own still finds its neighbour's libraries: where
// `$ORIGIN/../other.libs` is not in the same archive, the same path below any other root is tried, as all of them
// would lie in one site-packages. What no path finds is looked for by its bare name, in the same mount and then in all
// others: ld.so could not do that, but it would have LD_LIBRARY_PATH. See ld.so(8), "dynamic string tokens". Of mounts
// that are for somebody alone only those for whom the object's own is are looked into.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/tree/tree.h"

namespace intact {

// What an object contributes to the search. Kept after loading, for what its code opens later.
struct SearchScope {
  std::weak_ptr<const Mount> mount;  // gone: the scope finds nothing more
  std::string directory;             // of the member, absolute: what $ORIGIN stands for
  std::optional<std::string> rpath;
  std::optional<std::string> runpath;
  std::shared_ptr<const SearchScope> loader;  // of the object that needed this one
};

// By the search paths of `scope`; a name with a '/' is a path and is only that.
std::optional<Place> find_by_path(const Snapshot& tree, const SearchScope& scope, std::string_view name);

// By bare name: in `own` first if it is not null, whether the tree has it or not, then in every mount, newest first.
std::optional<Place> find_by_name(const Snapshot& tree, const MountPtr& own, std::string_view name);

}  // namespace intact
