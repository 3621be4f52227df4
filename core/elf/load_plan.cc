#include "core/elf/load_plan.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/elf/graft_linux.h"
#include "core/elf/read_ahead.h"

namespace intact {

namespace {

constexpr std::uint32_t kMaxDepth = 200;  // of needed libraries; each level uses the stack

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

Error about(const Place& place, Error error) {
  if (error.archive.empty()) error.archive = place.mount->archive().name();
  if (error.member.empty()) error.member = std::string(place.get().path);
  return error;
}

}  // namespace

Error image_error(const Place& place, std::string reason) {
  return about(place, Error{ErrorCode::kImage, std::move(reason)});
}

LoadPlan::LoadPlan(const Snapshot& tree, LoadedNames& names, FindLoaded find_loaded, bool in_memory)
    : tree_(tree), names_(names), find_loaded_(std::move(find_loaded)), in_memory_(in_memory) {}

Result<PlannedImage*> LoadPlan::build(const Place& place) {
  INTACT_ASSIGN(PlannedImage * root, add(place, nullptr));
  group_all(*root);
  return root;
}

Result<PlannedImage*> LoadPlan::add(const Place& place, std::shared_ptr<const SearchScope> loader) {
  for (PlannedImage& image : images_) {
    if (image.place.mount == place.mount && image.place.node == place.node) return &image;
  }
  if (depth_ >= kMaxDepth) return image_error(place, "needed libraries are nested too deeply");
  ++depth_;
  PlannedImage& image = images_.emplace_back();
  image.place = place;
  image.path = place.mount->path_of(place.node);
  const std::int64_t began = monotonic_now();
  if (auto done = read(image); !done) return about(place, std::move(done).error());
  image.reading = monotonic_now() - began;
  auto scope = std::make_shared<SearchScope>();
  scope->mount = place.mount;
  scope->directory = image.path.substr(0, image.path.rfind('/'));
  scope->rpath = image.elf.rpath;
  scope->runpath = image.elf.runpath;
  scope->loader = std::move(loader);
  image.scope = std::move(scope);
  if (!image.elf.soname.empty()) by_soname_.emplace(image.elf.soname, &image);
  INTACT_TRY(resolve(image));
  --depth_;
  return &image;
}

Result<void> LoadPlan::read(PlannedImage& image) {
  const Node node = image.place.get();
  if (node.directory || node.member == kNone) return image_error(image.place, "a directory, not a shared object");
  image.real_path = image.place.mount->archive().real_path(node.member);
  if (image.real_path) return {};  // ld.so reads it itself
  if (!in_memory_ && image.place.mount->options().extract_directory.empty()) {
    return image_error(image.place, "memory may not be executed here; extract=DIR names a directory to load from");
  }
  auto ahead = in_memory_ ? ReadAhead::instance().take(image.place, scratch_) : std::nullopt;
  if (ahead && !ahead->checked) {
    INTACT_ASSIGN(image.elf, parse_elf(ahead->copy.bytes()));
    image.bytes_copied = ahead->copy.bytes().size();
    image.copy = std::move(ahead->copy);
  } else {
    INTACT_ASSIGN(const bool grafted, read_graft(image, node.member, ahead.has_value()));
    if (!grafted) INTACT_TRY(read_copy(image, node.member));
  }
  if (image.elf.machine != &kHostMachine) {
    return image_error(image.place, std::string("for ") + image.elf.machine->name + ", this is " + kHostMachine.name);
  }
  return {};
}

Result<bool> LoadPlan::read_graft(PlannedImage& image, std::size_t member, bool checked) {
  const Archive& archive = image.place.mount->archive();
  INTACT_ASSIGN(auto extent, archive.extent(member));
  if (!in_memory_ || !extent || !extent_mappable(*extent)) return false;
  if (!checked) INTACT_TRY(archive.check(member));
  auto copy = PrivateCopy::create(std::string(base_name(image.path)), extent->size, {});
  if (!copy) return false;  // read_copy will say why
  GraftSource source(*extent, copy->bytes());
  INTACT_ASSIGN(image.elf, parse_elf(source));
  if (!graftable(image.elf)) return false;
  INTACT_TRY(read_for_loading(source, image.elf));
  image.copy = std::move(*copy);
  image.graft = *extent;
  image.bytes_copied = source.bytes_read();
  return true;
}

Result<void> LoadPlan::read_copy(PlannedImage& image, std::size_t member) {
  const Archive& archive = image.place.mount->archive();
  const std::uint64_t size = archive.member(member).size;
  if (size == 0) return image_error(image.place, "empty");
  const std::string& directory = image.place.mount->options().extract_directory;
  const std::string name(base_name(image.path));
  auto copy = PrivateCopy::create(name, size, in_memory_ ? std::string() : directory);
  if (!copy && in_memory_) {
    if (directory.empty())
      return image_error(image.place, copy.error().reason + "; extract=DIR names a directory to load from");
    copy = PrivateCopy::create(name, size, directory);
  }
  if (!copy) return std::move(copy).error();
  INTACT_TRY(copy->fill(archive, member, scratch_));
  INTACT_ASSIGN(image.elf, parse_elf(copy->bytes()));
  image.copy = std::move(*copy);
  image.bytes_copied = size;
  return {};
}

// Each needed library: loaded, in this plan, in an archive, or the system's.
Result<void> LoadPlan::resolve(PlannedImage& image) {
  for (std::size_t i = 0; i < image.elf.needed.size(); ++i) {
    const std::string& name = image.elf.needed[i].name;
    if (names_.contains(name)) continue;
    PlannedImage::Edge edge{i};
    if (const auto planned = by_soname_.find(name); planned != by_soname_.end()) {
      edge.planned = planned->second;
    } else {
      auto place = find_by_path(tree_, *image.scope, name);
      if (!place && name.find('/') == std::string::npos) place = find_by_name(tree_, image.place.mount, name);
      if (!place) continue;
      edge.loaded = find_loaded_(*place);
      if (!edge.loaded) {
        INTACT_ASSIGN(edge.planned, add(*place, image.scope));
      }
    }
    if (edge.planned != &image) image.edges.push_back(edge);
  }
  return {};
}

void LoadPlan::group_all(PlannedImage& root) {
  std::vector<PlannedImage*> listed{&root};  // breadth first
  for (std::size_t at = 0; at < listed.size(); ++at) {
    for (const PlannedImage::Edge& edge : listed[at]->edges) {
      if (edge.planned && std::ranges::find(listed, edge.planned) == listed.end()) listed.push_back(edge.planned);
    }
  }
  for (auto image = listed.rbegin(); image != listed.rend(); ++image) {
    if ((*image)->order == 0) group(**image);
  }
  // Whatever a cycle would have it be, what was asked for is last.
  LoadGroup& last = groups_.back();
  if (const auto at = std::ranges::find(last, &root); at != last.end()) std::rotate(at, at + 1, last.end());
}

void LoadPlan::group(PlannedImage& image) {
  image.order = image.low = ++reached_;
  stack_.push_back(&image);
  for (const PlannedImage::Edge& edge : image.edges) {
    if (!edge.planned) continue;
    PlannedImage& next = *edge.planned;
    if (next.order == 0) group(next);
    if (!next.grouped) image.low = std::min(image.low, next.low);
  }
  image.done = ++done_;
  if (image.low != image.order) return;
  // Everything above it on the stack is in a cycle with it.
  const auto first = std::ranges::find(stack_, &image);
  LoadGroup members(first, stack_.end());
  stack_.erase(first, stack_.end());
  for (PlannedImage* member : members) member->grouped = true;
  std::ranges::sort(members, {}, &PlannedImage::done);
  groups_.push_back(std::move(members));
}

}  // namespace intact
