#include "core/redirect/redirect.h"

#include "core/redirect/locate_linux.h"
#include "core/redirect/patch_linux.h"

namespace intact {

void enable_redirect(Tree& tree, ImageLoader& images) {
  redirect_state.tree.store(&tree, std::memory_order_release);
  redirect_state.images.store(&images, std::memory_order_release);
  redirect_state.enabled.store(true, std::memory_order_release);
  images.set_on_mapped(&redirect_object);
  patch_new_objects();
}

void disable_redirect() {
  if (redirect_state.enabled.exchange(false)) restore_objects();
}

void redirect_object(const link_map* object) {
  if (!redirect_state.enabled.load(std::memory_order_relaxed)) return;
  patch_object(object);
  patch_new_objects();  // what the image needs from the system came along with it
}

void redirect_new_objects() {
  if (redirect_state.enabled.load(std::memory_order_relaxed)) patch_new_objects();
}

RedirectStats redirect_stats() {
  return {patched_objects(), patched_slots(), redirect_state.hits.load(std::memory_order_relaxed)};
}

}  // namespace intact
