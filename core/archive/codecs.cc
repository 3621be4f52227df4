#include "core/archive/codecs.h"

#include <libdeflate.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "core/archive/bzip2.h"
#include "core/base/reader.h"

namespace intact {

namespace {

constexpr std::size_t kScratchKept = std::size_t{1} << 20;  // bytes
constexpr const char* kNoMemory = "no memory for the decoder";

struct Named {
  std::uint16_t method;
  const char* name;
};
constexpr Named kUnsupported[] = {
    {1, "Shrink"},   {2, "Reduce"},    {3, "Reduce"},          {4, "Reduce"}, {5, "Reduce"},
    {6, "Implode"},  {9, "Deflate64"}, {10, "PKWARE Implode"}, {95, "XZ"},    {96, "JPEG"},
    {97, "WavPack"}, {98, "PPMd"},     {99, "AES encryption"}};

std::optional<std::string> unpack_deflate(libdeflate_decompressor* decoder, std::span<const std::byte> packed,
                                          std::span<std::byte> target) {
  // Without a place for the actual size, anything but exactly target.size() is a failure.
  switch (libdeflate_deflate_decompress(decoder, packed.data(), packed.size(), target.data(), target.size(), nullptr)) {
    case LIBDEFLATE_SUCCESS:
      return {};
    case LIBDEFLATE_SHORT_OUTPUT:
      return "deflate data ends before the stated size";
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      return "deflate data goes on past the stated size";
    default:
      return "broken deflate data";
  }
}

std::optional<std::string> unpack_zstd(ZSTD_DCtx* decoder, std::span<const std::byte> packed,
                                       std::span<std::byte> target) {
  const std::size_t got = ZSTD_decompressDCtx(decoder, target.data(), target.size(), packed.data(), packed.size());
  if (ZSTD_isError(got)) return std::string("broken zstd data: ") + ZSTD_getErrorName(got);
  if (got != target.size()) return "zstd data ends before the stated size";
  return {};
}

// APPNOTE.TXT 5.8.8: two bytes of version, two of the size of the properties, the properties (5 bytes: lc, lp, pb and
// the size of the dictionary), then a raw stream with or without an end marker.
std::optional<std::string> unpack_lzma(std::span<const std::byte> packed, std::span<std::byte> target) {
  Reader reader(packed);
  reader.skip(2);
  const std::uint16_t properties_size = reader.u16();
  const std::uint8_t packed_properties = reader.u8();
  const std::uint32_t dictionary = reader.u32();
  if (!reader.ok() || properties_size != 5 || packed_properties >= 9 * 5 * 5) return "broken lzma properties";
  lzma_options_lzma options{};
  // A dictionary larger than the member is memory that nothing can refer to.
  options.dict_size = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      target.size(), LZMA_DICT_SIZE_MIN, std::max<std::uint32_t>(dictionary, LZMA_DICT_SIZE_MIN)));
  options.lc = packed_properties % 9;
  options.lp = packed_properties / 9 % 5;
  options.pb = packed_properties / 45;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_stream stream = LZMA_STREAM_INIT;
  switch (lzma_raw_decoder(&stream, filters)) {
    case LZMA_OK:
      break;
    case LZMA_MEM_ERROR:
      return kNoMemory;
    default:
      return "broken lzma properties";
  }
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> end(&stream, lzma_end);
  const auto data = packed.subspan(reader.position());
  stream.next_in = reinterpret_cast<const std::uint8_t*>(data.data());
  stream.avail_in = data.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(target.data());
  stream.avail_out = target.size();
  lzma_ret status = LZMA_OK;
  while (status == LZMA_OK && stream.avail_out > 0) status = lzma_code(&stream, LZMA_FINISH);
  if (status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR) return "broken lzma data";
  if (stream.avail_out > 0) return "lzma data ends before the stated size";
  return {};
}

}  // namespace

std::optional<std::string> unsupported_method(std::uint16_t method) {
  switch (static_cast<Method>(method)) {
    case Method::kStored:
    case Method::kDeflate:
    case Method::kBzip2:
    case Method::kLzma:
    case Method::kZstd:
      return {};
  }
  std::string name = "packed with method " + std::to_string(method);
  for (const Named& known : kUnsupported) {
    if (known.method == method) name += std::string(" (") + known.name + ")";
  }
  return name + ", which is not supported";
}

bool plausible_size(Method method, std::uint64_t packed, std::uint64_t size) {
  if (method == Method::kStored) return size == packed;
  // Each bit or two of deflate give at most 258 bytes: 1032 bytes for one.
  if (method == Method::kDeflate) return size / 1032 <= packed;
  return packed > 0 || size == 0;
}

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
  // libdeflate takes a null pointer for "the start".
  return bytes.empty() ? before : libdeflate_crc32(before, bytes.data(), bytes.size());
}

struct Workspace::Decoders {
  struct Free {
    void operator()(libdeflate_decompressor* decoder) const { libdeflate_free_decompressor(decoder); }
    void operator()(ZSTD_DCtx* decoder) const { ZSTD_freeDCtx(decoder); }
  };
  std::unique_ptr<libdeflate_decompressor, Free> deflate;
  std::unique_ptr<ZSTD_DCtx, Free> zstd;
};

Workspace::Workspace() : decoders_(std::make_unique<Decoders>()) {}
Workspace::~Workspace() = default;

void Workspace::trim() {
  if (scratch_.size() > kScratchKept) scratch_.release();
}

std::optional<std::string> Workspace::unpack(Method method, std::span<const std::byte> packed,
                                             std::span<std::byte> target) {
  // The libraries are given a pointer to something also for an empty member.
  std::byte nothing{};
  if (target.empty()) target = {&nothing, 0};
  switch (method) {
    case Method::kDeflate:
      if (!decoders_->deflate) decoders_->deflate.reset(libdeflate_alloc_decompressor());
      if (!decoders_->deflate) return kNoMemory;
      return unpack_deflate(decoders_->deflate.get(), packed, target);
    case Method::kZstd:
      if (!decoders_->zstd) decoders_->zstd.reset(ZSTD_createDCtx());
      if (!decoders_->zstd) return kNoMemory;
      return unpack_zstd(decoders_->zstd.get(), packed, target);
    case Method::kBzip2:
      return unpack_bzip2(packed, target);
    case Method::kLzma:
      return unpack_lzma(packed, target);
    case Method::kStored:
      break;
  }
  return "not a compressed member";
}

WorkspacePool::~WorkspacePool() {
  for (auto& slot : slots_) std::unique_ptr<Workspace>(slot.load());
}

std::unique_ptr<Workspace> WorkspacePool::take() {
  for (auto& slot : slots_) {
    if (std::unique_ptr<Workspace> workspace(slot.exchange(nullptr, std::memory_order_acquire)); workspace)
      return workspace;
  }
  return std::make_unique<Workspace>();
}

void WorkspacePool::give_back(std::unique_ptr<Workspace> workspace) {
  workspace->trim();
  for (auto& slot : slots_) {
    Workspace* empty = nullptr;
    if (slot.compare_exchange_strong(empty, workspace.get(), std::memory_order_release, std::memory_order_relaxed)) {
      static_cast<void>(workspace.release());
      return;
    }
  }
}

}  // namespace intact
