#include "python/ext/engine.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <string_view>

#include "core/elf/load_lock.h"

// Tells an engine from other extension modules of its name.
extern "C" __attribute__((visibility("default"))) const char intact_engine_file = 1;

namespace intact {
namespace {

// Whether a shared object is called as an engine is that is installed, or one that an app has loaded from memory.
bool named_like_engine(std::string_view path) {
  return path.substr(path.rfind('/') + 1).starts_with("_engine.") || path.starts_with("/memfd:intact");
}

}  // namespace

std::string other_engine() {
  void* program = ::dlopen(nullptr, RTLD_LAZY);
  for (auto* object = static_cast<link_map*>(program); object != nullptr; object = object->l_next) {
    if (!named_like_engine(object->l_name)) continue;
    const void* found = ::dlsym(object, "intact_engine_file");
    if (found != nullptr && found != &intact_engine_file) return object->l_name;
  }
  return {};
}

Engine& engine() {
  alignas(Engine) static unsigned char storage[sizeof(Engine)];
  static Engine* const instance = [] {
    auto* made = new (storage) Engine;
    LoadLock::instance();  // has its own handlers registered: handlers that run may register none
    // Whoever loads may mount: forking takes the locks in the same order.
    pthread_atfork(
        [] {
          LoadLock::instance().lock();
          engine().tree.before_fork();
          engine().fork_gate.before_fork();
        },
        [] {
          engine().fork_gate.after_fork_in_parent();
          engine().tree.after_fork_in_parent();
          LoadLock::instance().unlock();
        },
        [] {
          engine().fork_gate.after_fork_in_child();
          engine().tree.after_fork_in_child();
          LoadLock::instance().unlock();
        });
    return made;
  }();
  return *instance;
}

}  // namespace intact
