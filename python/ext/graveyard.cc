#include "python/ext/graveyard.h"

namespace intact {

Bytes Graveyard::adopt(const std::shared_ptr<Graveyard>& graveyard, Py_buffer buffer) {
  const std::span view(static_cast<const std::byte*>(buffer.buf), static_cast<std::size_t>(buffer.len));
  std::shared_ptr<const void> owner(view.data(), [graveyard, buffer](const void*) { graveyard->bury(buffer); });
  return Bytes::borrow(view, std::move(owner));
}

void Graveyard::bury(Py_buffer buffer) {
  const std::lock_guard lock(mutex_);
  if (!closed_) buffers_.push_back(buffer);
}

void Graveyard::empty() {
  std::vector<Py_buffer> buffers;
  {
    const std::lock_guard lock(mutex_);
    buffers.swap(buffers_);
  }
  for (Py_buffer& buffer : buffers) PyBuffer_Release(&buffer);
}

void Graveyard::close() {
  empty();
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

}  // namespace intact
