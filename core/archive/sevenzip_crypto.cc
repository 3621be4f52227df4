#include "core/archive/sevenzip_crypto.h"

#include <lzma.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "core/archive/codecs.h"
#include "core/archive/sevenzip_header.h"
#include "core/archive/sevenzip_keys.h"
#include "core/base/reader.h"

namespace intact {

namespace {

using namespace sevenzip;

constexpr std::string_view kSignature("7z\xBC\xAF\x27\x1C", 6);
constexpr std::size_t kStart = 32;  // bytes of the header at the start
constexpr std::string_view kAes("\x06\xF1\x07\x01", 4);
constexpr std::string_view kCopy("\x00", 1), kLzma("\x03\x01\x01", 3), kLzma2("\x21", 1);
constexpr std::size_t kBlock = AES_BLOCK_SIZE;
constexpr int kMostHeaders = 4;             // encoded one in another
constexpr std::uint64_t kMostRatio = 8192;  // bytes that one byte of LZMA gives, and more

std::uint8_t* octets(std::byte* bytes) { return reinterpret_cast<std::uint8_t*>(bytes); }
const std::uint8_t* octets(const std::byte* bytes) { return reinterpret_cast<const std::uint8_t*>(bytes); }

Error broken(std::string reason) { return {ErrorCode::kArchive, std::move(reason)}; }
Error over_limit(std::uint64_t size) {
  return broken("a 7z header of " + std::to_string(size) + " bytes is over the limit");
}
Error no_memory(std::uint64_t size) { return broken("no memory for " + std::to_string(size) + " bytes"); }

struct Buffer {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;

  std::span<std::byte> span() const { return {bytes.get(), size}; }
  static Result<Buffer> make(std::uint64_t size) {
    Buffer buffer{try_allocate(static_cast<std::size_t>(size)), static_cast<std::size_t>(size)};
    if (!buffer.bytes) return no_memory(size);
    return buffer;
  }
};

// What the padding of the streams tells about the password. A wrong one makes zeros of one byte in 256, which are many
// in an archive of many streams, but far fewer than the streams where it does not.
struct Padding {
  std::uint64_t zeros = 0;   // bytes, in streams where there is nothing else
  std::uint64_t others = 0;  // streams where there is

  bool proves() const { return zeros >= 2 && zeros > others; }
  bool disproves() const { return others > 0 && zeros == 0; }
};

class Decryptor {
 public:
  Decryptor(const Input& input, const OpenOptions& options)
      : input_(input), limits_(options.limits), keys_(options.password) {}

  Result<std::optional<DecryptedSevenzip>> run();

 private:
  Result<Buffer> read_next_header();
  Result<Buffer> decode_header(Reader& reader);
  Result<Buffer> decrypt(Span stream, const Coder& coder, std::uint64_t size);
  Result<bool> decrypt_folder(Folder& folder, std::span<Buffer> streams, Padding& padding);
  Result<bool> padded_before(std::uint64_t position, const Coder& aes);
  Result<std::vector<Buffer>> read_packed(const Streams& streams);
  Result<std::optional<DecryptedSevenzip>> rewrite(const Buffer& header);

  const Input& input_;
  const Limits& limits_;
  Keys keys_;
  bool header_encrypted_ = false;
};

bool is_aes(const Coder& coder) { return coder.method == kAes; }

bool is_encrypted(const Folder& folder) { return std::any_of(folder.coders.begin(), folder.coders.end(), is_aes); }

Result<Buffer> Decryptor::read_next_header() {
  std::byte start[kStart];
  INTACT_TRY(input_.read(0, start));
  Reader reader(start);
  reader.skip(kSignature.size() + 2);
  const std::uint32_t crc = reader.u32();
  if (crc32(Span(start).subspan(12)) != crc) return broken("the CRC-32 of the 7z start header is wrong");
  const std::uint64_t offset = reader.u64(), size = reader.u64();
  const std::uint32_t header_crc = reader.u32();
  const std::uint64_t room = input_.size() - kStart;
  if (offset > room || size > room - offset) return broken("a 7z header beyond the end: not a whole archive");
  if (size > limits_.directory_size) return over_limit(size);
  INTACT_ASSIGN(Buffer header, Buffer::make(size));
  INTACT_TRY(input_.read(kStart + offset, header.span()));
  if (crc32(header.span()) != header_crc) return broken("the CRC-32 of the 7z header is wrong");
  return header;
}

// A stream of whole blocks, `size` bytes of which are data.
Result<Buffer> Decryptor::decrypt(Span stream, const Coder& coder, std::uint64_t size) {
  INTACT_ASSIGN(Parameters parameters, Parameters::read(coder.properties));
  if (stream.size() % kBlock != 0 || size > stream.size() || stream.size() - size >= kBlock)
    return broken("an encrypted 7z stream of another size than its data");
  INTACT_ASSIGN(const std::uint8_t* key, keys_.derive(parameters));
  INTACT_ASSIGN(Buffer plain, Buffer::make(stream.size()));
  aes256_ctx context;
  nettle_aes256_set_decrypt_key(&context, key);
  nettle_cbc_decrypt(&context, reinterpret_cast<nettle_cipher_func*>(nettle_aes256_decrypt), kBlock, parameters.iv,
                     stream.size(), octets(plain.bytes.get()), octets(stream.data()));
  explicit_bzero(&context, sizeof context);
  return plain;
}

// Takes the AES coders out of a folder; false if it has none. What they are fed from is decrypted and cut to its size.
Result<bool> Decryptor::decrypt_folder(Folder& folder, std::span<Buffer> streams, Padding& padding) {
  bool any = false;
  for (std::size_t at = 0; at < folder.coders.size();) {
    Coder& coder = folder.coders[at];
    if (!is_aes(coder)) {
      ++at;
      continue;
    }
    any = true;
    if (coder.inputs != 1 || coder.outputs != 1) return broken("an AES coder of 7z with several streams");
    std::uint64_t input = 0, output = 0;
    for (std::size_t i = 0; i < at; ++i) {
      input += folder.coders[i].inputs;
      output += folder.coders[i].outputs;
    }
    const auto packed = std::find(folder.packed.begin(), folder.packed.end(), input);
    if (packed == folder.packed.end()) return broken("a 7z that is compressed after it is encrypted");
    Buffer& stream = streams[static_cast<std::size_t>(packed - folder.packed.begin())];
    const std::uint64_t size = folder.unpack_sizes[output];
    INTACT_ASSIGN(stream, decrypt(stream.span(), coder, size));
    const auto rest = stream.span().subspan(static_cast<std::size_t>(size));
    if (std::all_of(rest.begin(), rest.end(), [](std::byte byte) { return byte == std::byte{}; }))
      padding.zeros += rest.size();
    else
      ++padding.others;
    stream.size = static_cast<std::size_t>(size);

    const auto bond =
        std::find_if(folder.bonds.begin(), folder.bonds.end(), [&](const Bond& b) { return b.output == output; });
    if (bond == folder.bonds.end()) {  // nothing comes after it
      coder = Coder{.method = std::string(kCopy), .properties = {}};
      ++at;
      continue;
    }
    *packed = bond->input;
    folder.bonds.erase(bond);
    folder.unpack_sizes.erase(folder.unpack_sizes.begin() + static_cast<std::ptrdiff_t>(output));
    folder.coders.erase(folder.coders.begin() + static_cast<std::ptrdiff_t>(at));
    for (Bond& each : folder.bonds) {
      each.input -= each.input > input;
      each.output -= each.output > output;
    }
    for (std::uint64_t& each : folder.packed) each -= each > input;
  }
  return any;
}

Result<std::vector<Buffer>> Decryptor::read_packed(const Streams& streams) {
  std::vector<Buffer> packed;
  std::uint64_t position = streams.position, room = input_.size() - kStart;
  if (position > room) return broken("packed streams of a 7z beyond its end");
  for (const std::uint64_t size : streams.pack_sizes) {
    if (size > room - position) return broken("packed streams of a 7z beyond its end");
    INTACT_ASSIGN(packed.emplace_back(), Buffer::make(size));
    INTACT_TRY(input_.read(kStart + position, packed.back().span()));
    position += size;
  }
  return packed;
}

// Of what has a single coder, which is all that writers give a header. `target` is cut to what came out.
std::optional<std::string> unpack(const Folder& folder, Span packed, Buffer& target) {
  const Coder& coder = folder.coders.front();
  const std::size_t size = std::exchange(target.size, 0);
  if (coder.method == kCopy) {
    if (packed.size() != size) return "its sizes differ";
    std::copy(packed.begin(), packed.end(), target.bytes.get());
    target.size = size;
    return {};
  }
  lzma_filter filters[] = {{LZMA_VLI_UNKNOWN, nullptr}, {LZMA_VLI_UNKNOWN, nullptr}};
  filters[0].id = coder.method == kLzma2 ? LZMA_FILTER_LZMA2 : LZMA_FILTER_LZMA1;
  if (lzma_properties_decode(filters, nullptr, octets(coder.properties.data()), coder.properties.size()) != LZMA_OK)
    return "its coder has broken properties";
  const std::unique_ptr<void, decltype(&std::free)> owner(filters[0].options, std::free);
  // A dictionary larger than the header is memory that nothing can refer to.
  auto* options = static_cast<lzma_options_lzma*>(filters[0].options);
  options->dict_size = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      size, LZMA_DICT_SIZE_MIN, std::max<std::uint32_t>(options->dict_size, LZMA_DICT_SIZE_MIN)));
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_ret status = lzma_raw_decoder(&stream, filters);
  stream.next_in = octets(packed.data());
  stream.avail_in = packed.size();
  stream.next_out = octets(target.bytes.get());
  stream.avail_out = size;
  while (status == LZMA_OK && stream.avail_out > 0) status = lzma_code(&stream, LZMA_FINISH);
  const bool whole = stream.avail_out == 0 && (status == LZMA_OK || status == LZMA_STREAM_END);
  target.size = size - stream.avail_out;
  lzma_end(&stream);
  return whole ? std::nullopt : std::optional<std::string>("it cannot be unpacked");
}

// As a header of an archive with contents does: three bytes that a wrong password does not give.
bool begins_as_header(Span bytes) {
  constexpr std::byte kBeginning[] = {std::byte{kHeader}, std::byte{kMainStreams}, std::byte{kPackInfo}};
  return bytes.size() >= sizeof kBeginning && std::equal(std::begin(kBeginning), std::end(kBeginning), bytes.begin());
}

// Whether what is packed before a place decrypts to padding at its end. The last of two blocks needs no others.
Result<bool> Decryptor::padded_before(std::uint64_t position, const Coder& aes) {
  std::byte end[2 * kBlock];
  if (position < sizeof end) return false;
  INTACT_TRY(input_.read(kStart + position - sizeof end, end));
  INTACT_ASSIGN(const Buffer plain, decrypt(end, aes, sizeof end));
  return plain.span()[sizeof end - 1] == std::byte{} && plain.span()[sizeof end - 2] == std::byte{};
}

// The header that an encoded one stands for.
Result<Buffer> Decryptor::decode_header(Reader& reader) {
  Claims claims(limits_);
  INTACT_ASSIGN(Streams streams, read_streams(reader, claims));
  INTACT_TRY(read_contents(reader, streams, claims));
  if (streams.folders.size() != 1 || streams.pack_sizes.size() != 1)
    return broken("a 7z header of several folders or packed streams");
  if (streams.pack_sizes.front() > limits_.directory_size) return over_limit(streams.pack_sizes.front());
  Folder& folder = streams.folders.front();
  const std::vector<Coder> coders = folder.coders;
  INTACT_ASSIGN(std::vector<Buffer> packed, read_packed(streams));
  Padding padding;
  INTACT_ASSIGN(const bool encrypted, decrypt_folder(folder, packed, padding));
  header_encrypted_ |= encrypted;
  // libarchive does not get to see an encrypted one. What is only copied it reads in pieces, of which it takes bytes
  // twice where a number lies in two.
  const Coder& coder = folder.coders.front();
  const bool taken = coder.method == kLzma || coder.method == kLzma2 || (encrypted && coder.method == kCopy);
  if (folder.coders.size() != 1 || coder.inputs != 1 || coder.outputs != 1 || !taken)
    return broken("a 7z header that is compressed in a way that is not supported: by other than LZMA or LZMA2");
  const std::uint64_t size = folder.unpack_sizes.front();
  if (size > limits_.directory_size || size / kMostRatio > packed.front().size) return over_limit(size);
  INTACT_ASSIGN(Buffer header, Buffer::make(size));
  auto reason = unpack(folder, packed.front().span(), header);
  if (!reason && folder.crc && crc32(header.span()) != *folder.crc) reason = "its CRC-32 is wrong";
  if (reason && encrypted && !padding.proves() && !begins_as_header(header.span())) {
    // The data before the header is encrypted with the same key, as all writers have it.
    const auto aes = std::find_if(coders.begin(), coders.end(), is_aes);
    INTACT_ASSIGN(const bool right, padded_before(streams.position, *aes));
    if (!right) return Error{ErrorCode::kPassword, "wrong password, or the encrypted header is damaged: " + *reason};
  }
  if (reason) return broken("the encoded 7z header is damaged: " + *reason);
  return header;
}

// The archive with everything decrypted, its streams one after another and then a header that is neither encoded nor
// encrypted.
Result<std::optional<DecryptedSevenzip>> Decryptor::rewrite(const Buffer& header) {
  INTACT_ASSIGN(Header read, read_header(header.span(), limits_));
  std::optional<Streams> streams = std::move(read.streams);
  const std::size_t folders = streams ? streams->folders.size() : 0;
  const auto encrypted = streams ? std::count_if(streams->folders.begin(), streams->folders.end(), is_encrypted) : 0;
  if (!header_encrypted_ && encrypted == 0) return std::optional<DecryptedSevenzip>();

  std::vector<Buffer> packed;
  Padding padding;
  std::string info;
  if (streams) {
    INTACT_ASSIGN(packed, read_packed(*streams));
    std::span<Buffer> left(packed);
    for (Folder& folder : streams->folders) {
      INTACT_TRY(decrypt_folder(folder, left, padding));
      left = left.subspan(folder.packed.size());
    }
    if (!header_encrypted_ && padding.disproves() && !read.digests)
      return Error{ErrorCode::kPassword, "wrong password"};
    for (std::size_t i = 0; i < packed.size(); ++i) streams->pack_sizes[i] = packed[i].size;
    streams->position = 0;
    info = write_streams(*streams);
  }
  const Span rest = Span(header.span()).subspan(read.rest);

  std::string next{static_cast<char>(kHeader)};
  if (streams) next += static_cast<char>(kMainStreams) + info;
  next.append(reinterpret_cast<const char*>(rest.data()), rest.size());
  INTACT_TRY(read_header(std::as_bytes(std::span(next)), limits_));
  std::uint64_t data = 0;
  for (const Buffer& stream : packed) data += stream.size;
  INTACT_ASSIGN(Buffer archive, Buffer::make(kStart + data + next.size()));
  std::byte* to = archive.bytes.get() + kStart;
  for (const Buffer& stream : packed) to = std::copy_n(stream.bytes.get(), stream.size, to);
  std::memcpy(to, next.data(), next.size());

  const std::uint64_t place[] = {data, next.size()};
  const std::uint32_t next_crc = crc32(std::as_bytes(std::span(next)));
  std::byte* start = archive.bytes.get();
  std::memcpy(start, kSignature.data(), kSignature.size());
  std::memcpy(start + 6, "\0\4", 2);
  std::memcpy(start + 12, place, sizeof place);
  std::memcpy(start + 28, &next_crc, sizeof next_crc);
  const std::uint32_t crc = crc32({start + 12, kStart - 12});
  std::memcpy(start + 8, &crc, sizeof crc);
  const std::size_t size = archive.size;
  return std::optional(DecryptedSevenzip{Bytes::own(std::move(archive.bytes), size),
                                         header_encrypted_ || padding.proves(),
                                         static_cast<std::size_t>(encrypted) == folders});
}

Result<std::optional<DecryptedSevenzip>> Decryptor::run() {
  INTACT_ASSIGN(Buffer header, read_next_header());
  for (int depth = 0; depth < kMostHeaders; ++depth) {
    Reader reader(header.span());
    const std::uint8_t id = header.size == 0 ? std::uint8_t{kEnd} : reader.u8();
    if (id == kHeader) return rewrite(header);
    if (id != kEncodedHeader) return std::optional<DecryptedSevenzip>();  // empty, or not for us to say
    INTACT_ASSIGN(header, decode_header(reader));
  }
  return broken("7z headers encoded in one another");
}

}  // namespace

bool is_sevenzip(const Input& input) {
  std::byte start[kSignature.size()];
  return input.text(0, start) == kSignature;
}

Result<std::optional<DecryptedSevenzip>> decrypt_sevenzip(const Input& input, const OpenOptions& options) {
  if (input.size() < kStart || !is_sevenzip(input)) return std::optional<DecryptedSevenzip>();
  return Decryptor(input, options).run();
}

}  // namespace intact
