// Encrypted 7z archives: to the same archive without encryption, which is what libarchive can read.
//
// 7z encrypts by one more coder (06F10701: AES-256 in CBC mode) in front of those that compress. Each packed stream
// that is fed to it is decrypted, the coder is taken out of its folder, and a new header says so; nothing is unpacked
// but the header. The archive may be encrypted with its header or without.
//
// The headers of those that are not encrypted are unpacked and checked as well (sevenzip_header.h).
//
// 7z has nothing that tells a wrong password as such. An encrypted header has a CRC-32, which tells that it is right.
// Where that is not, and for data, what a writer pads with, to whole blocks of 16 bytes, comes out as zeros only if the
// password is right, and does so wherever the damage is but for the last two blocks: CBC garbles the damaged block and
// the next. Without padding, or with damage to it, the beginning of a header tells, or the padding of the data that
// stands before it; and of data the contents, which mostly have CRC-32s.

#pragma once

#include <optional>

#include "core/archive/archive.h"
#include "core/archive/input.h"
#include "core/base/bytes.h"

namespace intact {

struct DecryptedSevenzip {
  Bytes archive;
  // Whether the password is known to be right. If not, data that cannot be unpacked may mean that it is wrong.
  bool proven = false;
  // Whether all contents were encrypted, so that what can be unpacked tells that it is right.
  bool contents_tell = false;
};

// Whether the input begins as a 7z does. libarchive would also look for one behind the beginning of a program.
bool is_sevenzip(const Input& input);

// Nothing if the input is no 7z, or nothing in it is encrypted. kPassword if a password is needed and not given, or is
// wrong; kArchive if the archive is broken, encrypted in a way that is not supported, or one that libarchive is not to
// be given.
Result<std::optional<DecryptedSevenzip>> decrypt_sevenzip(const Input& input, const OpenOptions& options);

}  // namespace intact
