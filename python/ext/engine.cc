#include "python/ext/engine.h"

namespace intact {

Engine& engine() {
  alignas(Engine) static unsigned char storage[sizeof(Engine)];
  static Engine* const instance = new (storage) Engine;
  return *instance;
}

}  // namespace intact
