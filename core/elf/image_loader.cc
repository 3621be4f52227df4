// The loader's main passes; the parts stand in files of their own: what to load and in which order (load_plan), where a
// library is (library_search), copies (private_copy_linux), the archive's own pages (graft_linux), patches
// (private_patch), initialisers (initialisers_linux).

#include "core/elf/image_loader.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "core/base/clock.h"
#include "core/base/path.h"
#include "core/elf/graft_linux.h"
#include "core/elf/image.h"
#include "core/elf/initialisers_linux.h"
#include "core/elf/load_lock.h"
#include "core/elf/load_plan.h"
#include "core/elf/loaded_names_linux.h"
#include "core/elf/private_patch.h"

namespace intact {

namespace {

constexpr int kBinding = RTLD_LAZY | RTLD_NOW;

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// glibc keeps names in memory of malloc's and frees them when it unloads, which it never does with ours.
void set_name(const link_map* map, const std::string& name) {
  const_cast<link_map*>(map)->l_name = strdup(name.c_str());
}

std::string kept_name(const PlannedImage& image) {
  const Member member = image.place.mount->archive().member(image.place.get().member);
  char prefix[32];
  std::snprintf(prefix, sizeof prefix, "%08" PRIx32 "-%" PRIx64 "-", member.crc, member.size);
  return prefix + std::string(image.place.get().name());
}

}  // namespace

struct ImageLoader::State {
  explicit State(const Tree& the_tree) : tree(the_tree) {}

  Result<Image*> find_or_load(const Place& place, int mode);
  Result<void> load_all(const Place& place, int mode);
  Result<void> load_group(const LoadGroup& group, int mode);
  Result<bool> rename_edges(const LoadGroup& group);
  Result<void> open_group(const LoadGroup& group, int mode, bool keep);
  Result<Image*> adopt(PlannedImage& planned, std::int64_t began);
  Result<void> load_file(PlannedImage& planned, int mode);
  Image* find(const Place& place);
  Image& publish(const PlannedImage& planned, const link_map* map, std::string load_path, ImageInfo info);
  Error explain(std::string reason, const LoadGroup& group) const;
  Result<void*> reopen(const Image& image, int mode) const;

  const Tree& tree;
  std::atomic<OnMapped> on_mapped{nullptr};
  std::atomic<Image*> newest{nullptr};  // of all images; a list that only grows

  // Guarded by the load lock:
  std::deque<Image> images;
  std::map<std::pair<std::uint64_t, std::uint32_t>, Image*> by_place;  // mount and node
  std::map<std::string, Image*, std::less<>> by_path;
  LoadedNames names;
  bool memory_executable = true;
};

ImageLoader::ImageLoader(const Tree& tree) : state_(std::make_unique<State>(tree)) {}
ImageLoader::~ImageLoader() = default;

void ImageLoader::set_on_mapped(OnMapped callback) { state_->on_mapped = callback; }

Result<void*> ImageLoader::load(const Place& place, int mode) {
  const std::lock_guard lock(LoadLock::instance());
  INTACT_ASSIGN(Image * image, state_->find_or_load(place, mode));
  return state_->reopen(*image, mode);
}

Result<void*> ImageLoader::open(const char* name, int mode, const void* caller) {
  if (!name || !*name) return nullptr;
  const ReadGuard tree(state_->tree);
  std::optional<Place> place;
  if (*name == '/') {
    place = tree->lookup(name);
  } else if (!std::strchr(name, '/')) {
    const Image* from = state_->newest.load(std::memory_order_acquire);
    const auto address = reinterpret_cast<std::uint64_t>(caller);
    while (from && (address < from->begin || address >= from->end)) from = from->next;
    if (from) place = find_by_path(*tree, *from->scope, name);
    if (!place) place = find_by_name(*tree, nullptr, name);
  }
  if (!place || place->directory()) return nullptr;
  // Only now: whoever asks for what is not ours never waits.
  const std::lock_guard lock(LoadLock::instance());
  if (*name != '/' && state_->names.contains(name) && !state_->find(*place)) return nullptr;
  if (mode & RTLD_NOLOAD) {
    const Image* image = state_->find(*place);
    if (!image) return nullptr;
    return state_->reopen(*image, mode);
  }
  INTACT_ASSIGN(Image * image, state_->find_or_load(*place, mode));
  return state_->reopen(*image, mode);
}

std::vector<ImageInfo> ImageLoader::images() const {
  std::vector<ImageInfo> all;
  for (const Image* image = state_->newest.load(std::memory_order_acquire); image; image = image->next) {
    all.push_back(image->info);
    all.back().initialising = image->initialising.load(std::memory_order_relaxed);
  }
  std::ranges::reverse(all);
  return all;
}

// A handle of its own for the caller, with what `mode` asks of an image that is loaded (RTLD_GLOBAL). The name is one
// that glibc has in its list, so no file is touched.
Result<void*> ImageLoader::State::reopen(const Image& image, int mode) const {
  const int binding = (mode & kBinding) ? mode & kBinding : RTLD_NOW;
  void* handle = dlopen(image.load_path.c_str(), binding | RTLD_NOLOAD | (mode & RTLD_GLOBAL));
  if (handle) return handle;
  const char* reason = dlerror();
  return Error{ErrorCode::kImage, reason ? reason : "the image is gone", {}, image.info.path};
}

Result<Image*> ImageLoader::State::find_or_load(const Place& place, int mode) {
  if (Image* image = find(place)) return image;
  auto done = load_all(place, mode);
  if (!done && !memory_executable && !place.mount->options().extract_directory.empty()) done = load_all(place, mode);
  if (!done) return std::move(done).error();
  Image* image = find(place);
  if (!image) return image_error(place, "loaded under another name");
  return image;
}

// Loaded from this place, or from another mount of the same content under the same path.
Image* ImageLoader::State::find(const Place& place) {
  const std::pair key(place.mount->id(), place.node);
  if (const auto found = by_place.find(key); found != by_place.end()) return found->second;
  const auto found = by_path.find(place.mount->path_of(place.node));
  if (found == by_path.end() || place.get().member == kNone) return nullptr;
  const Member member = place.mount->archive().member(place.get().member);
  if (found->second->size != member.size || found->second->crc != member.crc) return nullptr;
  by_place.emplace(key, found->second);
  return found->second;
}

Result<void> ImageLoader::State::load_all(const Place& place, int mode) {
  const ReadGuard snapshot(tree);
  LoadPlan plan(
      *snapshot, names, [this](const Place& wanted) { return find(wanted); }, memory_executable);
  INTACT_ASSIGN(const PlannedImage* root, plan.build(place));
  // Symbols of needed libraries become global with those of the object that needs them, not before.
  for (const LoadGroup& group : plan.groups()) {
    INTACT_TRY(load_group(group, group.back() == root ? mode : mode & ~RTLD_GLOBAL));
  }
  return {};
}

Result<void> ImageLoader::State::load_group(const LoadGroup& group, int mode) {
  // An initialiser of an earlier group may have loaded it by itself.
  if (std::ranges::all_of(group, [&](const PlannedImage* planned) { return find(planned->place); })) return {};
  if (group.back()->real_path) return load_file(*group.back(), mode);
  const std::int64_t began = monotonic_now();
  INTACT_ASSIGN(const bool renamed, rename_edges(group));
  INTACT_TRY(open_group(group, mode, !renamed));
  struct Fresh {
    Image* image;
    const ElfFile* file;
  };
  std::vector<Fresh> fresh;
  for (PlannedImage* planned : group) {
    INTACT_ASSIGN(Image * image, adopt(*planned, began));
    if (image) fresh.push_back({image, &planned->elf});
  }
  if (mode & RTLD_GLOBAL) dlopen(group.back()->copy.path().c_str(), RTLD_NOLOAD | RTLD_NOW | RTLD_GLOBAL);
  if (const OnMapped callback = on_mapped) {
    for (const Fresh& each : fresh) callback(each.image->map);
  }
  for (PlannedImage* planned : group) planned->copy.close();
  for (const Fresh& each : fresh) {
    const std::int64_t start = monotonic_now();
    run_initialisers(*each.image->map, *each.file);
    each.image->initialising.store(monotonic_now() - start, std::memory_order_relaxed);
  }
  return {};
}

// glibc finds most needed libraries by their SONAME, because they are loaded. Not those that have none or another, and
// not those of the same cycle, which it has to load itself: where it first meets one, the name in the private copy is
// made a path. It meets them breadth first. Whether anything was renamed.
Result<bool> ImageLoader::State::rename_edges(const LoadGroup& group) {
  bool renamed = false;
  std::vector<const PlannedImage*> met{group.back()};
  for (std::size_t at = 0; at < met.size(); ++at) {
    const PlannedImage& image = *met[at];
    for (const PlannedImage::Edge& edge : image.edges) {  // in the order of DT_NEEDED
      const std::string& name = image.elf.needed[edge.needed].name;
      std::string path;
      if (const auto member = std::ranges::find(group, edge.planned); member != group.end()) {
        const bool known = std::ranges::find(met, *member) != met.end();
        if (!known) met.push_back(*member);
        if (known && (*member)->elf.soname == name) continue;
        path = (*member)->copy.path();
      } else {
        if (names.contains(name)) continue;
        const Image* target = edge.loaded ? edge.loaded : find(edge.planned->place);
        if (!target) return image_error(image.place, "needs " + name + ", which could not be loaded");
        path = target->load_path;
      }
      renamed = true;
      if (!rename_needed(image.copy.bytes(), image.elf, edge.needed, path)) {
        return image_error(image.place,
                           "needs " + name + ", which has no such SONAME, and there is no room to say where it is");
      }
    }
  }
  return renamed;
}

// The one dlopen of a group. Initialisers are hidden, so no code of the images runs, and nobody else can reach
// them: RTLD_GLOBAL comes when they are complete.
Result<void> ImageLoader::State::open_group(const LoadGroup& group, int mode, bool keep) {
  for (PlannedImage* planned : group) {
    hide_dynamic_entries(planned->copy.bytes(), planned->elf);
    if (auto done = planned->copy.finish(keep ? kept_name(*planned) : std::string()); !done) {
      return image_error(planned->place, done.error().reason);
    }
  }
  const PlannedImage& root = *group.back();
  const int binding = (mode & kBinding) ? mode & kBinding : RTLD_NOW;
  const std::string path = group.back()->copy.path();
  if (dlopen(path.c_str(), binding | (mode & RTLD_DEEPBIND) | RTLD_NODELETE)) return {};
  const char* text = dlerror();
  std::string reason = text ? text : "unknown";
  if (!root.copy.executable()) {
    memory_executable = false;
    return image_error(root.place,
                       "memory may not be executed here (" + reason + "); extract=DIR names a directory to load from");
  }
  return explain(std::move(reason), group);
}

// What the dynamic linker said, in the reader's words.
Error ImageLoader::State::explain(std::string reason, const LoadGroup& group) const {
  const bool absent = reason.ends_with(std::strerror(ENOENT));
  for (PlannedImage* planned : group) {
    for (const ElfNeeded& needed : planned->elf.needed) {
      if (absent && reason.starts_with(needed.name + ":")) {
        return image_error(planned->place, "needs " + needed.name + ", which neither an archive nor the system has");
      }
    }
    reason = replace_all(std::move(reason), planned->copy.path(), planned->path);
  }
  return image_error(group.back()->place, reason);
}

// An image that glibc has loaded becomes ours: whole, under its own name, known. Null if it was ours before, as another
// member of the same content in the same extracted file.
Result<Image*> ImageLoader::State::adopt(PlannedImage& planned, std::int64_t began) {
  link_map* map = nullptr;
  void* handle = dlopen(planned.copy.path().c_str(), RTLD_NOLOAD | RTLD_LAZY);
  if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
    return image_error(planned.place, "not found after loading");
  for (Image& image : images) {
    if (image.map != map) continue;
    by_place.emplace(std::pair(planned.place.mount->id(), planned.place.node), &image);
    return nullptr;
  }
  ImageInfo info{planned.path, planned.copy.in_file() ? ImageOrigin::kFile : ImageOrigin::kCopy};
  (info.origin == ImageOrigin::kFile ? info.bytes_mapped : info.bytes_copied) = planned.elf.size;
  if (planned.graft) {
    auto changed = map_archive_pages(*map, planned.elf, *planned.graft);
    if (!changed) return image_error(planned.place, changed.error().reason);
    info.origin = ImageOrigin::kGraft;
    info.bytes_copied = *changed;
    info.bytes_mapped = planned.elf.size - std::min(planned.elf.size, *changed);
  }
  info.relocations = static_cast<std::int64_t>(planned.elf.relocation_count);
  info.reading = planned.reading;
  info.began = began;
  info.linking = monotonic_now() - began;
  return &publish(planned, map, planned.copy.path(), std::move(info));
}

// A file on disk: glibc finds what it needs, and runs its initialisers.
Result<void> ImageLoader::State::load_file(PlannedImage& planned, int mode) {
  const int binding = (mode & kBinding) ? mode & kBinding : RTLD_NOW;
  const std::int64_t began = monotonic_now();
  void* handle = dlopen(planned.real_path->c_str(), binding | (mode & (RTLD_DEEPBIND | RTLD_GLOBAL)) | RTLD_NODELETE);
  if (!handle) {
    const char* text = dlerror();
    return image_error(planned.place, text ? text : "unknown");
  }
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0) return image_error(planned.place, "not found after loading");
  const std::uint64_t size = planned.place.mount->archive().member(planned.place.get().member).size;
  ImageInfo info{.path = planned.path, .origin = ImageOrigin::kFile, .bytes_mapped = size};
  info.reading = planned.reading;
  info.began = began;
  info.linking = monotonic_now() - began;
  publish(planned, map, *planned.real_path, std::move(info));
  if (const OnMapped callback = on_mapped) callback(map);
  return {};
}

Image& ImageLoader::State::publish(const PlannedImage& planned, const link_map* map, std::string load_path,
                                   ImageInfo info) {
  // glibc answers a name with the first that has it: an older image of other content gives it up.
  if (const auto old = by_path.find(planned.path); old != by_path.end() && planned.path == old->second->map->l_name) {
    set_name(old->second->map, planned.path + " (replaced)");
  }
  if (planned.path != map->l_name) set_name(map, planned.path);
  const Member member = planned.place.mount->archive().member(planned.place.get().member);
  Image& image = images.emplace_back();
  image.info = std::move(info);
  image.size = member.size;
  image.crc = member.crc;
  image.load_path = std::move(load_path);
  image.map = map;
  image.begin = image.end = map->l_addr;
  for (const ElfSegment& segment : planned.elf.segments) {
    if (segment.type == PT_LOAD)
      image.end = std::max<std::uint64_t>(image.end, map->l_addr + segment.address + segment.memory_size);
  }
  image.scope = planned.scope;
  image.next = newest.load(std::memory_order_relaxed);
  newest.store(&image, std::memory_order_release);
  by_place[{planned.place.mount->id(), planned.place.node}] = &image;
  by_path[planned.path] = &image;
  return image;
}

}  // namespace intact
