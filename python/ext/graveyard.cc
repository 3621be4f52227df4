#include "python/ext/graveyard.h"

#include <utility>

namespace intact {

Bytes Graveyard::adopt(const std::shared_ptr<Graveyard>& graveyard, Py_buffer buffer) {
  const std::span view(static_cast<const std::byte*>(buffer.buf), static_cast<std::size_t>(buffer.len));
  std::shared_ptr<const void> owner(view.data(), [graveyard, buffer](const void*) { graveyard->bury(buffer); });
  return Bytes::borrow(view, std::move(owner));
}

void Graveyard::bury(Py_buffer buffer) {
  auto grave = std::make_unique<Grave>(Grave{buffer, newest_.load()});
  do {
    if (grave->next == &closed_) return;
  } while (!newest_.compare_exchange_weak(grave->next, grave.get()));
  grave.release();
}

// Takes all that is there, and leaves `instead`.
void Graveyard::release(Grave* instead) {
  Grave* next = newest_.load();
  do {
    if (next == &closed_ || next == instead) return;
  } while (!newest_.compare_exchange_weak(next, instead));
  while (next != nullptr) {
    const std::unique_ptr<Grave> grave(std::exchange(next, next->next));
    PyBuffer_Release(&grave->buffer);
  }
}

}  // namespace intact
