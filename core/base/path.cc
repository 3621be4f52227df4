#include "core/base/path.h"

#include <vector>

namespace intact {

std::optional<std::string_view> member_path(std::string_view name) {
  if (!name.empty() && name.back() == '/') name.remove_suffix(1);
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
