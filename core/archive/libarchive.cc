// Every format that is not ours, by way of libarchive: tar, cpio, 7z, iso9660, cab, xar, rar, and what compresses them.
//
// libarchive reads an archive from its beginning to its end. So one pass (libarchive_pass.h) is made when the archive
// is opened, which gives the index and all contents (sequential.h): a solid block is unpacked once, and nothing is
// unpacked twice. What libarchive hands out of our own buffer lies in the source as it is, byte for byte; such a member
// is left there and read from there. All the rest goes to the spill.
//
// docs/formats/libarchive.md says what is read and refused, and what it costs.

#include <optional>
#include <utility>
#include <vector>

#include "core/archive/formats.h"
#include "core/archive/gzip.h"
#include "core/archive/iso.h"
#include "core/archive/libarchive_pass.h"
#include "core/archive/rar.h"
#include "core/archive/sevenzip_crypto.h"
#include "core/archive/xar.h"

namespace intact {

namespace {

// What libarchive reads in the place of the source: it does not check what gzip says of itself, and knows no encryption
// of 7z.
struct Unwrapped {
  std::optional<Input> input;  // nothing: the source itself
  const char* suffix = "";
  bool password_in_doubt = false;
  bool contents_tell = false;
};

Result<Unwrapped> unwrap(const Input& source, const std::string& name, const OpenOptions& options) {
  Unwrapped unwrapped;
  const auto read_in_place_of_it = [&](Bytes bytes) -> Result<void> {
    Source memory{name, std::move(bytes)};
    INTACT_ASSIGN(unwrapped.input, Input::open(memory));
    return {};
  };
  INTACT_ASSIGN(auto unpacked, gunzip(source, options.limits.unpacked_size));
  if (unpacked) {
    unwrapped.suffix = ".gz";
    INTACT_TRY(read_in_place_of_it(*std::move(unpacked)));
  }
  INTACT_ASSIGN(auto decrypted, decrypt_sevenzip(unwrapped.input ? *unwrapped.input : source, options));
  if (decrypted) {
    unwrapped.password_in_doubt = !decrypted->proven;
    unwrapped.contents_tell = decrypted->contents_tell;
    INTACT_TRY(read_in_place_of_it(std::move(decrypted->archive)));
  }
  return unwrapped;
}

Result<std::unique_ptr<Archive>> open_libarchive(Source& source, const OpenOptions& options) {
  INTACT_ASSIGN(auto input, Input::open(source));
  if (!input || input->size() == 0) return std::unique_ptr<Archive>();
  INTACT_ASSIGN(const Libarchive* const library, Libarchive::get());
  INTACT_ASSIGN(const Unwrapped unwrapped, unwrap(*input, source.name, options));
  auto archive =
      std::make_unique<SequentialArchive>(source.name, *std::move(input), Spill(source.name, options.spill_directory));
  Unpacking unpacking(*library, archive->source(), options);
  bool compressed = false;
  if (!unwrapped.input) {
    INTACT_ASSIGN(compressed, unpacking.begin());
  }
  const Input& whole = unwrapped.input ? *unwrapped.input : archive->source();
  std::vector<std::uint64_t> ends;
  if (!options.trusted) {
    INTACT_TRY(check_xar(whole, options.limits));
    INTACT_TRY(check_iso(whole, options.limits));
    INTACT_ASSIGN(ends, check_rar(whole, options.limits));
  }
  Pass pass(*library, whole, compressed ? &unpacking : nullptr, options, *archive);
  pass.expect_ends(std::move(ends));
  if (unwrapped.password_in_doubt) pass.doubt_password(unwrapped.contents_tell);
  INTACT_ASSIGN(const bool known, pass.run());
  const std::string suffix = compressed ? unpacking.suffix() : unwrapped.suffix;
  if (!known && !suffix.empty())
    return Error{ErrorCode::kArchive, "compressed (" + suffix + ") data with no archive of a known format in it"};
  if (!known) return std::unique_ptr<Archive>();
  INTACT_TRY(archive->finish(pass.format_name() + suffix));
  return std::unique_ptr<Archive>(std::move(archive));
}

}  // namespace

const Format kLibarchiveFormat{"libarchive", open_libarchive};

}  // namespace intact
