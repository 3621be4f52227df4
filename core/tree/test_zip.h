// zip_of: archives for tests of what is in them by name. Reading them is the tests' of core/archive.

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace intact {

// A zip archive of empty stored members (APPNOTE.TXT 4.3).
inline Bytes zip_of(const std::vector<std::string>& paths) {
  std::string body, directory;
  const auto put = [](std::string& to, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) to += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
  };
  for (const std::string& path : paths) {
    const std::size_t offset = body.size();
    body += std::string("PK\3\4") + std::string("\x14\0", 2) + std::string(20, '\0');
    put(body, path.size(), 2), put(body, 0, 2);
    body += path;
    directory += std::string("PK\1\2") + std::string("\x14\0\x14\0", 4) + std::string(20, '\0');
    put(directory, path.size(), 2), put(directory, 0, 12), put(directory, offset, 4);
    directory += path;
  }
  std::string end = "PK\5\6";
  put(end, 0, 4), put(end, paths.size(), 2), put(end, paths.size(), 2), put(end, directory.size(), 4),
      put(end, body.size(), 4), put(end, 0, 2);
  auto owner = std::make_shared<const std::string>(body + directory + end);
  return Bytes::borrow(std::as_bytes(std::span(*owner)), owner);
}

}  // namespace intact
