// ZipBuilder: makes the archives that tests read, well-formed unless told otherwise.
//
// For tests only: each test says which field lies, and everything else is as a careful writer would have
// put it. Strings hold bytes.

#pragma once

#include <bzlib.h>
#include <libdeflate.h>
#include <lzma.h>
#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/codecs.h"
#include "core/archive/zip_format.h"

namespace intact::zip {

template <typename T>
std::string raw(const T& record) {
  return std::string(reinterpret_cast<const char*>(&record), sizeof record);
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

inline std::string extra_field(std::uint16_t kind, const std::string& data) {
  return raw(kind) + raw(static_cast<std::uint16_t>(data.size())) + data;
}

inline std::string pack_lzma(const std::string& data) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 6);
  options.dict_size = 1 << 16;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string out(data.size() + 1024, '\0');
  std::size_t size = 0;
  lzma_raw_buffer_encode(filters, nullptr, reinterpret_cast<const std::uint8_t*>(data.data()), data.size(),
                         reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size());
  out.resize(size);
  std::string properties(5, '\0');
  lzma_properties_encode(filters, reinterpret_cast<std::uint8_t*>(properties.data()));
  return std::string("\x09\x04\x05\x00", 4) + properties + out;
}

inline std::string pack(Method method, const std::string& data) {
  std::string out(data.size() + data.size() / 8 + 1024, '\0');
  switch (method) {
    case Method::kStored:
      return data;
    case Method::kLzma:
      return pack_lzma(data);
    case Method::kDeflate: {
      libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
      out.resize(libdeflate_deflate_compress(compressor, data.data(), data.size(), out.data(), out.size()));
      libdeflate_free_compressor(compressor);
      return out;
    }
    case Method::kBzip2: {
      auto size = static_cast<unsigned>(out.size());
      BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(data.data()), static_cast<unsigned>(data.size()), 9,
                               0, 0);
      out.resize(size);
      return out;
    }
    case Method::kZstd:
      out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
      return out;
  }
  return data;
}

struct Entry {
  std::string name = {};
  std::string data = {};
  Method method = Method::kStored;
  std::uint16_t flags = 0;
  bool descriptor = false;  // sizes and CRC after the data, zeros in the local header
  bool zip64 = false;       // sizes and offset in the zip64 field
  std::string local_extra = {};
  std::string central_extra = {};
  std::string comment = {};
  std::uint32_t time = 0x58210000;  // 2024-01-01 00:00
  std::uint32_t mode = 0100644;
  // Lies.
  std::optional<std::string> packed = {};
  std::optional<std::string> local_name = {};
  std::optional<std::uint64_t> size = {};
  std::optional<std::uint64_t> packed_size = {};
  std::optional<std::uint64_t> offset = {};
  std::optional<std::uint32_t> crc = {};
  std::optional<std::uint16_t> method_number = {};
  std::uint16_t disk = 0;
};

struct Ending {
  std::string prefix = {};  // before the archive; offsets do not count it
  std::string comment = {};
  std::string after = {};  // follows the comment
  bool zip64 = false;
  EndRecord end = {};      // added to the true one field by field: lies
  EndRecord64 end64 = {};  // the same
};

class ZipBuilder {
 public:
  ZipBuilder& add(const Entry& entry) {
    const std::string packed = entry.packed.value_or(pack(entry.method, entry.data));
    const std::uint64_t offset = entry.offset.value_or(body_.size());
    const std::uint64_t size = entry.size.value_or(entry.data.size());
    const std::uint64_t packed_size = entry.packed_size.value_or(packed.size());
    const auto method = entry.method_number.value_or(static_cast<std::uint16_t>(entry.method));
    const std::uint32_t crc = entry.crc.value_or(crc32(bytes_of(entry.data)));
    const auto flags = static_cast<std::uint16_t>(entry.flags | (entry.descriptor ? kFlagDescriptor : 0));
    const std::string& local_name = entry.local_name ? *entry.local_name : entry.name;
    const auto in32 = [&](std::uint64_t number) { return entry.zip64 ? kIn64 : static_cast<std::uint32_t>(number); };

    LocalHeader local{kLocalSignature,
                      20,
                      flags,
                      method,
                      entry.time,
                      entry.descriptor ? 0 : crc,
                      entry.descriptor ? 0 : in32(packed_size),
                      entry.descriptor ? 0 : in32(size),
                      static_cast<std::uint16_t>(local_name.size()),
                      0};
    std::string local_extra = entry.local_extra;
    if (entry.zip64) local_extra += extra_field(kExtraZip64, raw(size) + raw(packed_size));
    local.extra_size = static_cast<std::uint16_t>(local_extra.size());
    body_ += raw(local) + local_name + local_extra + packed;
    if (entry.descriptor) {
      body_ += raw(std::uint32_t{0x08074b50}) + raw(crc) + raw(static_cast<std::uint32_t>(packed_size)) +
               raw(static_cast<std::uint32_t>(size));
    }

    std::string central_extra = entry.central_extra;
    if (entry.zip64) central_extra += extra_field(kExtraZip64, raw(size) + raw(packed_size) + raw(offset));
    const CentralHeader central{kCentralSignature,
                                0x0314,
                                20,
                                flags,
                                method,
                                entry.time,
                                crc,
                                in32(packed_size),
                                in32(size),
                                static_cast<std::uint16_t>(entry.name.size()),
                                static_cast<std::uint16_t>(central_extra.size()),
                                static_cast<std::uint16_t>(entry.comment.size()),
                                entry.disk,
                                0,
                                entry.mode << 16,
                                in32(offset)};
    directory_ += raw(central) + entry.name + central_extra + entry.comment;
    ++count_;
    return *this;
  }
  ZipBuilder& add(const std::string& name, const std::string& data, Method method = Method::kStored) {
    return add(Entry{.name = name, .data = data, .method = method});
  }

  std::string build(const Ending& ending = {}) const {
    std::string archive = ending.prefix + body_ + directory_;
    const auto lie = [](auto truth, auto delta) { return static_cast<decltype(delta)>(truth + delta); };
    if (ending.zip64) {
      const EndRecord64& d = ending.end64;
      const std::uint64_t record = body_.size() + directory_.size();
      archive +=
          raw(EndRecord64{kEnd64Signature, 44 + d.size, 45, 45, d.disk, d.directory_disk, count_ + d.count_here,
                          count_ + d.count, directory_.size() + d.directory_size, body_.size() + d.directory_offset});
      archive += raw(Locator64{kLocator64Signature, 0, record, 1});
    }
    const EndRecord& d = ending.end;
    const std::uint64_t count = ending.zip64 ? kIn64Short : count_;
    const std::uint64_t size = ending.zip64 ? kIn64 : directory_.size();
    const std::uint64_t offset = ending.zip64 ? kIn64 : body_.size();
    return archive +
           raw(EndRecord{kEndSignature, d.disk, d.directory_disk, lie(count, d.count_here), lie(count, d.count),
                         lie(size, d.directory_size), lie(offset, d.directory_offset),
                         lie(ending.comment.size(), d.comment_size)}) +
           ending.comment + ending.after;
  }

 private:
  std::string body_;
  std::string directory_;
  std::uint64_t count_ = 0;
};

}  // namespace intact::zip
