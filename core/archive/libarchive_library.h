// libarchive's functions, from the shared library, which is loaded when the first archive is opened that is neither a
// zip nor a directory. So the engine links nothing of it, and an app that mounts only itself never needs it.

#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <string>

#include "core/base/result.h"

namespace intact {

#define INTACT_LIBARCHIVE_FUNCTIONS(X)   \
  X(archive_read_new)                    \
  X(archive_read_free)                   \
  X(archive_read_set_callback_data)      \
  X(archive_read_set_read_callback)      \
  X(archive_read_set_skip_callback)      \
  X(archive_read_set_seek_callback)      \
  X(archive_read_open1)                  \
  X(archive_read_next_header)            \
  X(archive_read_data_block)             \
  X(archive_read_support_format_tar)     \
  X(archive_read_support_format_cpio)    \
  X(archive_read_support_format_7zip)    \
  X(archive_read_support_format_iso9660) \
  X(archive_read_support_format_cab)     \
  X(archive_read_support_format_xar)     \
  X(archive_read_support_format_rar)     \
  X(archive_read_support_format_rar5)    \
  X(archive_read_support_format_raw)     \
  X(archive_read_append_filter)          \
  X(archive_bzlib_version)               \
  X(archive_liblzma_version)             \
  X(archive_libzstd_version)             \
  X(archive_liblz4_version)              \
  X(archive_errno)                       \
  X(archive_error_string)                \
  X(archive_set_error)                   \
  X(archive_format)                      \
  X(archive_filter_bytes)                \
  X(archive_entry_pathname_utf8)         \
  X(archive_entry_hardlink_utf8)         \
  X(archive_entry_symlink_utf8)          \
  X(archive_entry_hardlink)              \
  X(archive_entry_filetype)              \
  X(archive_entry_mode)                  \
  X(archive_entry_mtime)                 \
  X(archive_entry_nlink)                 \
  X(archive_entry_size)                  \
  X(archive_entry_size_is_set)           \
  X(archive_entry_is_encrypted)

struct Libarchive {
#define INTACT_DECLARE(name) decltype(&::name) name = nullptr;
  INTACT_LIBARCHIVE_FUNCTIONS(INTACT_DECLARE)
#undef INTACT_DECLARE

  // Loads the library when it is asked first. kArchive if that fails, which need not be so the next time.
  static Result<const Libarchive*> get();

  // Why the reader's last call failed.
  std::string reason(archive* reader) const;
};

struct FreeReader {
  decltype(&::archive_read_free) free = nullptr;
  void operator()(archive* reader) const { free(reader); }
};
using ReaderPtr = std::unique_ptr<archive, FreeReader>;

}  // namespace intact
