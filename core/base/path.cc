#include "core/base/path.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace intact {

namespace {

std::uint64_t load(const char* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

constexpr std::uint64_t every_byte(std::uint8_t byte) { return 0x0101'0101'0101'0101u * byte; }

// Has its high bits where `word` has zero bytes. A byte 0x01 above a zero byte may be marked as well.
constexpr std::uint64_t zero_bytes(std::uint64_t word) { return (word - every_byte(1)) & ~word & every_byte(0x80); }

}  // namespace

// Plain is a name without NUL, without a '/' before a '/' or a '.', and with neither of the two first.
bool is_plain_path(std::string_view name) {
  if (name.size() < 9 || name.front() == '/' || name.front() == '.' || name.back() == '/' || name.back() == '\0')
    return false;
  const char* const last = name.data() + name.size() - 9;
  std::uint64_t found = 0;
  for (const char* at = name.data();; at += 8) {
    at = std::min(at, last);
    const std::uint64_t here = load(at);
    const std::uint64_t next = load(at + 1);
    // '.' and '/' differ in the lowest bit only.
    const std::uint64_t bad_pair =
        zero_bytes(here ^ every_byte('/')) & zero_bytes((next | every_byte(1)) ^ every_byte('/'));
    found |= zero_bytes(here) | bad_pair | ((here | next) & every_byte(0x80));
    if (at == last) return found == 0;
  }
}

std::optional<std::string_view> member_path(std::string_view name) {
  if (!name.empty() && name.back() == '/') name.remove_suffix(1);
  if (is_plain_path(name)) return name;
  if (name.empty()) return std::nullopt;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && name[i] == '\0') return std::nullopt;
    if (i < name.size() && name[i] != '/') continue;
    const std::size_t length = i - start;
    if (length == 0 || (name[start] == '.' && (length == 1 || (length == 2 && name[start + 1] == '.')))) {
      return std::nullopt;
    }
    start = i + 1;
  }
  return name;
}

bool is_reachable(std::string_view path) {
  constexpr std::size_t kMaxDepth = 256, kPathMax = 4096;
  return path.size() <= kMaxDepth ||
         (path.size() < kPathMax && std::count(path.begin(), path.end(), '/') < static_cast<std::ptrdiff_t>(kMaxDepth));
}

std::optional<std::string_view> reachable_path(std::string_view name) {
  const auto path = member_path(name);
  return path && is_reachable(*path) ? path : std::nullopt;
}

std::string normal_path(std::string_view absolute) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start < absolute.size();) {
    const std::size_t end = std::min(absolute.find('/', start), absolute.size());
    const std::string_view part = absolute.substr(start, end - start);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    start = end + 1;
  }
  std::string path;
  for (std::string_view part : parts) (path += '/') += part;
  return path.empty() ? "/" : path;
}

}  // namespace intact
