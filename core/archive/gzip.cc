#include "core/archive/gzip.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/large_allocator.h"
#include "core/base/reader.h"
#include "core/base/scratch.h"

namespace intact {

namespace {

constexpr std::byte kMagic[] = {std::byte{0x1f}, std::byte{0x8b}, std::byte{8}};  // ID1, ID2, CM: deflate
constexpr std::uint64_t kMostRatio = 1032;                                        // of deflate

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof kMagic && std::memcmp(bytes.data(), kMagic, sizeof kMagic) == 0;
}

Error broken(const char* reason, std::uint64_t offset) { return Error{ErrorCode::kArchive, reason, {}, {}, offset}; }

// Memory that grows by copying: what it will have to hold is not known.
struct Output {
  std::shared_ptr<std::byte> memory;
  std::size_t size = 0, capacity = 0;

  bool grow(std::size_t wanted) {
    auto* const larger = static_cast<std::byte*>(allocate_large(wanted));
    if (larger == nullptr) return false;
    std::copy_n(memory.get(), size, larger);
    memory = {larger, [wanted](std::byte* bytes) { free_large(bytes, wanted); }};
    capacity = wanted;
    return true;
  }
};

// The whole input, in `scratch` unless it is in memory.
Result<std::span<const std::byte>> all_of(const Input& input, Scratch& scratch) {
  if (input.in_memory()) return input.memory().span();
  const auto size = static_cast<std::size_t>(input.size());
  std::byte* const memory = scratch.get(size);
  if (memory == nullptr) return broken("no memory for gzip data", 0);
  INTACT_TRY(input.read(0, {memory, size}));
  return std::span<const std::byte>(memory, size);
}

// The size that the last member states, modulo 2^32, if that can be: mostly there is one member, and it is right.
std::size_t first_capacity(std::span<const std::byte> packed, std::uint64_t most) {
  const std::uint32_t stated = Reader(packed.last(4)).u32();
  const std::uint64_t likely = std::min<std::uint64_t>(stated, packed.size() * kMostRatio);
  return static_cast<std::size_t>(std::min(std::max<std::uint64_t>(likely, 4096), most));
}

// Unpacks one member onto `output`; gives the size of the member.
Result<std::size_t> unpack_member(libdeflate_decompressor* decoder, std::span<const std::byte> packed, Output& output,
                                  std::uint64_t most, std::uint64_t offset) {
  for (;;) {
    std::size_t used = 0, made = 0;
    switch (libdeflate_gzip_decompress_ex(decoder, packed.data(), packed.size(), output.memory.get() + output.size,
                                          output.capacity - output.size, &used, &made)) {
      case LIBDEFLATE_SUCCESS:
        output.size += made;
        return used;
      case LIBDEFLATE_INSUFFICIENT_SPACE:
        if (output.capacity >= most)
          return broken("gzip data that unpacks to more than max_unpacked_size allows", offset);
        if (!output.grow(static_cast<std::size_t>(std::min<std::uint64_t>(most, output.capacity * 2))))
          return broken("no memory for what gzip data unpacks to", offset);
        break;
      default:
        return broken("broken gzip data", offset);
    }
  }
}

}  // namespace

Result<std::optional<Bytes>> gunzip(const Input& input, std::uint64_t most) {
  std::byte begin[sizeof kMagic];
  constexpr std::size_t kLeast = 18;  // an empty member
  if (input.size() < kLeast) return std::optional<Bytes>();
  INTACT_TRY(input.read(0, begin));
  if (!is_gzip(begin)) return std::optional<Bytes>();
  if (input.size() / 2 > most) return broken("gzip data that is larger than max_unpacked_size allows it to become", 0);
  Scratch scratch;
  INTACT_ASSIGN(const std::span<const std::byte> whole, all_of(input, scratch));
  std::span<const std::byte> packed = whole;
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decoder(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  Output output;
  if (!decoder || !output.grow(first_capacity(packed, most))) return broken("no memory to unpack gzip data", 0);
  while (!packed.empty()) {
    const std::uint64_t offset = whole.size() - packed.size();
    if (!is_gzip(packed)) return broken("neither gzip data nor padding behind gzip data", offset);
    INTACT_ASSIGN(const std::size_t used, unpack_member(decoder.get(), packed, output, most, offset));
    const auto next = std::find_if(packed.begin() + static_cast<std::ptrdiff_t>(used), packed.end(),
                                   [](std::byte byte) { return byte != std::byte{}; });
    packed = {next, packed.end()};
  }
  return std::optional(Bytes::borrow({output.memory.get(), output.size}, output.memory));
}

}  // namespace intact
