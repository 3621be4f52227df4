// Path rules: the one place that normalises names.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace intact {

// A member's path as the tree keeps it: '/' between components, none empty, "." or "..", none at either
// end, no NUL. Gives the view itself (without a trailing '/') where nothing else has to change, which is
// nearly always; nothing for a name that cannot be a path below a root ("..", absolute, empty, NUL).
std::optional<std::string_view> member_path(std::string_view name);

// Whether the name is ASCII and is, as it stands, what member_path would give. Wrong only in saying no. Looks at eight
// bytes at a time, because opening an archive asks about every name in it.
bool is_plain_path(std::string_view name);

// Whether a path below a root can be named: no file system call could name what is longer (PATH_MAX) or lies deeper.
// Leaving such members out also bounds the work of making up directories.
bool is_reachable(std::string_view path);

// What member_path gives, if that is reachable.
std::optional<std::string_view> reachable_path(std::string_view name);

// Resolves "", "." and ".." without looking at a file system, as os.path.normpath does for an absolute path.
std::string normal_path(std::string_view absolute);

}  // namespace intact
