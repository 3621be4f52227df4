// Secret: bytes that are wiped when they are no longer held.

#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace intact {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text) : text_(text) {}
  // Leaves nothing behind in `text`, whose bytes may lie in the string itself.
  static Secret take(std::string& text) {
    Secret secret{std::string_view(text)};
    explicit_bzero(text.data(), text.size());
    text.clear();
    return secret;
  }
  Secret(Secret&& other) noexcept : Secret(std::string_view(other.text_)) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    wipe();
    text_.assign(other.text_);
    other.wipe();
    return *this;
  }
  ~Secret() { wipe(); }

  std::string_view view() const { return text_; }

 private:
  void wipe() {
    explicit_bzero(text_.data(), text_.size());
    text_.clear();
  }

  std::string text_;
};

}  // namespace intact
