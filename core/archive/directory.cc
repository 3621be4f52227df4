// Directory: a folder on disk with the interface of an archive, for work in progress ("dist/", a source tree).
//
// Which files there are is settled when it is opened. What is in them is not: a read gives the file as it is
// now, as an import from disk would, and mtime is asked anew, so that edited sources are compiled again.
// Member::size is as of opening; read_into, which promises that size, fails if the file has another one now.
// Symbolic links are followed, to directories too, but not into a directory that is being walked (a loop).
// What is neither file nor directory is left out. A directory that may not be read counts as unreachable.
//
// Everything is opened relative to the directory's descriptor: renaming or replacing it on disk has no effect.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <deque>
#include <vector>

#include "core/archive/formats.h"
#include "core/base/path.h"

namespace intact {

namespace {

constexpr std::size_t kMostDepth = 128;  // directories within each other

// What a walk of the directory finds, before it is sorted.
struct Found {
  std::deque<std::string> names;
  std::vector<Member> members;
  std::size_t unreachable = 0;
};

struct Visit {
  std::string path;                             // below the root, with a '/' at the end; the root's is empty
  std::vector<std::pair<dev_t, ino_t>> within;  // it and the directories it lies in
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

DirectoryStream open_stream(int root, const std::string& path) {
  const int fd = ::openat(root, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  DirectoryStream stream(::fdopendir(fd));
  if (!stream) ::close(fd);
  return stream;
}

void add_member(Found& found, std::string path, const struct stat& status) {
  const bool directory = S_ISDIR(status.st_mode);
  Member member;
  member.path = found.names.emplace_back(std::move(path));
  member.size = directory ? 0 : static_cast<std::uint64_t>(status.st_size);
  member.packed_size = member.size;
  member.mode = status.st_mode;
  member.directory = directory;
  found.members.push_back(member);
}

// One entry of a directory; gives a visit if it is a directory to go into.
std::optional<Visit> look_at(int root, const Visit& visit, const char* name, Found& found) {
  std::string path = visit.path + name;
  struct stat status;
  if (::fstatat(root, path.c_str(), &status, 0) != 0) return std::nullopt;  // a link to nowhere, or gone already
  if (!S_ISDIR(status.st_mode)) {
    if (S_ISREG(status.st_mode)) add_member(found, std::move(path), status);
    return std::nullopt;
  }
  const std::pair identity(status.st_dev, status.st_ino);
  if (std::find(visit.within.begin(), visit.within.end(), identity) != visit.within.end()) return std::nullopt;
  add_member(found, path, status);
  if (visit.within.size() == kMostDepth) {
    ++found.unreachable;
    return std::nullopt;
  }
  Visit inner{path + '/', visit.within};
  inner.within.push_back(identity);
  return inner;
}

Result<Found> walk(int root, const Limits& limits) {
  struct stat status;
  if (::fstat(root, &status) != 0) return system_error(errno, "cannot stat");
  Found found;
  std::vector<Visit> to_do{{"", {{status.st_dev, status.st_ino}}}};
  while (!to_do.empty()) {
    const Visit visit = std::move(to_do.back());
    to_do.pop_back();
    const DirectoryStream stream = open_stream(root, visit.path);
    if (!stream) {
      if (visit.path.empty()) return system_error(errno, "cannot list");
      ++found.unreachable;
      continue;
    }
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (auto inner = look_at(root, visit, entry->d_name, found)) to_do.push_back(*std::move(inner));
      if (found.members.size() > limits.members) {
        return Error{ErrorCode::kArchive, "more than " + std::to_string(limits.members) + " members, the limit"};
      }
    }
  }
  std::sort(found.members.begin(), found.members.end(),
            [](const Member& a, const Member& b) { return a.path < b.path; });
  return found;
}

class DirectoryArchive final : public Archive {
 public:
  DirectoryArchive(std::string name, UniqueFd root, std::string real_root, Found found, const Limits& limits)
      : Archive(std::move(name)),
        root_(std::move(root)),
        real_root_(std::move(real_root)),
        found_(std::move(found)),
        limits_(limits) {}

  const char* format() const override { return "directory"; }
  std::size_t size() const override { return found_.members.size(); }
  Member member(std::size_t index) const override { return found_.members[index]; }
  MemberName member_name(std::size_t index) const override {
    return {found_.members[index].path, found_.members[index].directory};
  }
  std::size_t unreachable() const override { return found_.unreachable; }
  int descriptor() const override { return root_.get(); }

  std::int64_t mtime(std::size_t index) const override;
  Result<Bytes> read(std::size_t index) const override;
  Result<void> read_into(std::size_t index, std::span<std::byte> target) const override;
  Result<std::optional<Extent>> extent(std::size_t) const override { return std::optional<Extent>(); }
  Result<void> check(std::size_t index) const override;
  std::optional<std::string> real_path(std::size_t index) const override;

 private:
  struct OpenFile {
    UniqueFd fd;
    std::size_t size = 0;  // now
  };
  const char* path(std::size_t index) const {
    return found_.members[index].path.data();
  }  // a std::string's: ends in NUL
  Error failure(std::size_t index, int error_number, const char* doing) const;
  Result<OpenFile> open_member(std::size_t index) const;
  Result<void> fill(std::size_t index, int fd, std::span<std::byte> target) const;

  UniqueFd root_;
  std::string real_root_;  // empty if not known
  Found found_;
  Limits limits_;
};

Error DirectoryArchive::failure(std::size_t index, int error_number, const char* doing) const {
  Error error = system_error(error_number, doing);
  error.archive = name();
  error.member = found_.members[index].path;
  return error;
}

std::int64_t DirectoryArchive::mtime(std::size_t index) const {
  struct stat status;
  return ::fstatat(root_.get(), path(index), &status, 0) == 0 ? status.st_mtime : 0;
}

Result<DirectoryArchive::OpenFile> DirectoryArchive::open_member(std::size_t index) const {
  if (found_.members[index].directory) return member_error(index, "is a directory");
  UniqueFd fd(::openat(root_.get(), path(index), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return failure(index, errno, "cannot open");
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return failure(index, errno, "cannot stat");
  if (!S_ISREG(status.st_mode)) return member_error(index, "is no longer a regular file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > limits_.member_size) {
    return member_error(
        index, "of " + std::to_string(size) + " bytes, over the limit of " + std::to_string(limits_.member_size));
  }
  return OpenFile{std::move(fd), static_cast<std::size_t>(size)};
}

Result<void> DirectoryArchive::fill(std::size_t index, int fd, std::span<std::byte> target) const {
  for (std::size_t offset = 0; offset < target.size();) {
    const ssize_t got = ::pread(fd, target.data() + offset, target.size() - offset, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(index, errno, "cannot read");
    if (got == 0) return member_error(index, "was cut while it was read", offset);
    offset += static_cast<std::size_t>(got);
  }
  return {};
}

Result<Bytes> DirectoryArchive::read(std::size_t index) const {
  INTACT_ASSIGN(const OpenFile file, open_member(index));
  auto buffer = try_allocate(file.size);
  if (!buffer) return member_error(index, "no memory for " + std::to_string(file.size) + " bytes");
  INTACT_TRY(fill(index, file.fd.get(), {buffer.get(), file.size}));
  return Bytes::own(std::move(buffer), file.size);
}

Result<void> DirectoryArchive::read_into(std::size_t index, std::span<std::byte> target) const {
  INTACT_ASSIGN(const OpenFile file, open_member(index));
  if (file.size != target.size()) {
    return member_error(index, "has " + std::to_string(file.size) + " bytes now, not " + std::to_string(target.size()));
  }
  return fill(index, file.fd.get(), target);
}

// There is no checksum to compare; what can be checked is that the file can be read.
Result<void> DirectoryArchive::check(std::size_t index) const {
  if (found_.members[index].directory) return {};
  auto bytes = read(index);
  return bytes ? Result<void>() : std::move(bytes).error();
}

std::optional<std::string> DirectoryArchive::real_path(std::size_t index) const {
  if (real_root_.empty()) return std::nullopt;
  return real_root_ + '/' + std::string(found_.members[index].path);
}

// The absolute path of the directory, if its name still leads to it.
std::string real_path_of(const std::string& name, int fd) {
  char resolved[PATH_MAX];
  struct stat by_name, by_fd;
  if (!::realpath(name.c_str(), resolved) || ::stat(resolved, &by_name) != 0 || ::fstat(fd, &by_fd) != 0) return {};
  if (by_name.st_dev != by_fd.st_dev || by_name.st_ino != by_fd.st_ino) return {};
  return resolved;
}

Result<std::unique_ptr<Archive>> open_directory(Source& source, const OpenOptions& options) {
  auto* fd = std::get_if<UniqueFd>(&source.bytes);
  if (!fd) return std::unique_ptr<Archive>();
  struct stat status;
  if (::fstat(fd->get(), &status) != 0) return system_error(errno, "cannot stat");
  if (!S_ISDIR(status.st_mode)) return std::unique_ptr<Archive>();
  INTACT_ASSIGN(Found found, walk(fd->get(), options.limits));
  std::string real_root = real_path_of(source.name, fd->get());
  return std::unique_ptr<Archive>(
      std::make_unique<DirectoryArchive>(source.name, std::move(*fd), std::move(real_root), std::move(found), options.limits));
}

}  // namespace

const Format kDirectoryFormat{"directory", open_directory};

}  // namespace intact
