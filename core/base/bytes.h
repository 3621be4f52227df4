// Bytes: a read-only run of bytes together with whatever keeps it alive.
//
// A stored member of an archive in memory is a view into that archive; an inflated one is a buffer of its
// own. Both are Bytes, and copying a Bytes copies a pointer. The bytes never change while a Bytes exists;
// any thread may read them, and the last owner may go away in any thread.

#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace intact {

// Uninitialised memory of a size that an archive asked for: null, not an exception, where there is none.
inline std::unique_ptr<std::byte[]> try_allocate(std::size_t size) {
  return std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[size]);
}

class Bytes {
 public:
  Bytes() = default;

  // A view; `owner` keeps it valid and may be null for memory that never goes away.
  static Bytes borrow(std::span<const std::byte> view, std::shared_ptr<const void> owner) {
    return Bytes(view, std::move(owner));
  }
  static Bytes own(std::unique_ptr<std::byte[]> buffer, std::size_t size) {
    std::shared_ptr<const std::byte[]> owner(std::move(buffer));
    return Bytes({owner.get(), size}, owner);
  }

  std::span<const std::byte> span() const { return view_; }
  const std::byte* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  std::string_view text() const { return {reinterpret_cast<const char*>(view_.data()), view_.size()}; }

  // A part of these bytes with the same owner. The caller has checked the bounds.
  Bytes part(std::size_t offset, std::size_t size) const { return Bytes(view_.subspan(offset, size), owner_); }

 private:
  Bytes(std::span<const std::byte> view, std::shared_ptr<const void> owner) : view_(view), owner_(std::move(owner)) {}

  std::span<const std::byte> view_;
  std::shared_ptr<const void> owner_;
};

}  // namespace intact
