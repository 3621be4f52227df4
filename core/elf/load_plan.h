// LoadPlan: what has to be loaded for one shared object, read and parsed, in the order in which it has to happen.
//
// Needed libraries that are in archives become nodes of a graph; those that are loaded already, or that only the system
// can have, do not. The graph is cut into groups: a group is one object, or several that need each other in a cycle (a
// strongly connected component, found as Tarjan does), which glibc has to load in one step. Groups come bottom up.
// Between and inside groups objects come in the order in which ld.so would run their initialisers: it walks the
// objects, listed breadth first, from the last to the first, each after what it needs (glibc's elf/dl-sort-maps.c,
// _dl_sort_maps_dfs).

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/elf/elf_file.h"
#include "core/elf/image.h"
#include "core/elf/library_search.h"
#include "core/elf/loaded_names_linux.h"
#include "core/elf/private_copy_linux.h"
#include "core/tree/tree.h"

namespace intact {

struct PlannedImage {
  struct Edge {
    std::size_t needed = 0;           // number in elf.needed
    PlannedImage* planned = nullptr;  // one of these two
    Image* loaded = nullptr;
  };

  Place place;
  std::string path;                      // root and member
  std::optional<std::string> real_path;  // a file on disk: nothing of what follows is filled in but the scope
  ElfFile elf;
  PrivateCopy copy;
  std::optional<Extent> graft;  // whence pages are mapped; nothing: the copy is whole
  std::uint64_t bytes_copied = 0;
  std::int64_t reading = 0;  // nanoseconds that it took
  std::shared_ptr<const SearchScope> scope;
  std::vector<Edge> edges;

  std::uint32_t order = 0;  // Tarjan's: when it was reached, counted from 1
  std::uint32_t low = 0;    // the earliest that it reaches
  std::uint32_t done = 0;   // when all it reaches had been seen
  bool grouped = false;
};

using LoadGroup = std::vector<PlannedImage*>;  // in the order of initialisation

class LoadPlan {
 public:
  using FindLoaded = std::function<Image*(const Place&)>;

  // `in_memory` false: copies go to the mounts' extract directories.
  LoadPlan(const Snapshot& tree, LoadedNames& names, FindLoaded find_loaded, bool in_memory);

  // Reads `place` and all it needs. Errors name the member that is broken and leave nothing loaded.
  Result<PlannedImage*> build(const Place& place);
  const std::vector<LoadGroup>& groups() const { return groups_; }

 private:
  Result<PlannedImage*> add(const Place& place, std::shared_ptr<const SearchScope> loader);
  Result<void> read(PlannedImage& image);
  Result<bool> read_graft(PlannedImage& image, std::size_t member, bool checked);
  Result<void> read_copy(PlannedImage& image, std::size_t member);
  Result<void> resolve(PlannedImage& image);
  void group_all(PlannedImage& root);
  void group(PlannedImage& image);

  const Snapshot& tree_;
  LoadedNames& names_;
  FindLoaded find_loaded_;
  bool in_memory_;
  Scratch scratch_;
  std::deque<PlannedImage> images_;
  std::map<std::string, PlannedImage*> by_soname_;
  std::vector<PlannedImage*> stack_;
  std::vector<LoadGroup> groups_;
  std::uint32_t reached_ = 0;
  std::uint32_t done_ = 0;
  std::uint32_t depth_ = 0;
};

// An error about this image, naming archive and member.
Error image_error(const Place& place, std::string reason);

}  // namespace intact
