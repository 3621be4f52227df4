// bzip2, the rarest of the methods: its library is loaded when the first such member is read.
//
// Debian's libbz2.a cannot be linked into a shared object, and a shared library that every start has to load costs
// more than all of the engine's own initialisation.

#include "core/archive/bzip2.h"

#include <bzlib.h>
#include <dlfcn.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "core/base/lazy.h"

namespace intact {
namespace {

struct Library {
  decltype(&BZ2_bzDecompressInit) init = nullptr;
  decltype(&BZ2_bzDecompress) decompress = nullptr;
  decltype(&BZ2_bzDecompressEnd) end = nullptr;

  // Null if the library cannot be loaded, which need not be so the next time.
  static const Library* get() {
    static std::atomic<const Library*> known{nullptr};
    if (const Library* const loaded = known.load()) return loaded;
    void* handle = dlopen("libbz2.so.1.0", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) handle = dlopen("libbz2.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    Library made;
    made.init = reinterpret_cast<decltype(made.init)>(dlsym(handle, "BZ2_bzDecompressInit"));
    made.decompress = reinterpret_cast<decltype(made.decompress)>(dlsym(handle, "BZ2_bzDecompress"));
    made.end = reinterpret_cast<decltype(made.end)>(dlsym(handle, "BZ2_bzDecompressEnd"));
    if (made.init == nullptr || made.decompress == nullptr || made.end == nullptr) return nullptr;
    return &publish(known, made);
  }
};

}  // namespace

// One call moves at most 4 GiB; one byte past the end of `target` tells data that goes on.
std::optional<std::string> unpack_bzip2(std::span<const std::byte> packed, std::span<std::byte> target) {
  const Library* const library = Library::get();
  if (library == nullptr) return "libbz2.so.1.0 cannot be loaded";
  bz_stream stream{};
  if (library->init(&stream, 0, 0) != BZ_OK) return "no memory for the decoder";
  const std::unique_ptr<bz_stream, int (*)(bz_stream*)> end(&stream, library->end);
  constexpr std::size_t kMost = std::numeric_limits<unsigned>::max();
  std::size_t in = 0, out = 0;
  char past_end = 0;
  for (;;) {
    stream.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(packed.data())) + in;  // bzlib only reads it
    stream.avail_in = static_cast<unsigned>(std::min(packed.size() - in, kMost));
    const bool full = out == target.size();
    stream.next_out = full ? &past_end : reinterpret_cast<char*>(target.data()) + out;
    stream.avail_out = full ? 1 : static_cast<unsigned>(std::min(target.size() - out, kMost));
    const unsigned in_before = stream.avail_in, out_before = stream.avail_out;
    const int status = library->decompress(&stream);
    if (status != BZ_OK && status != BZ_STREAM_END) return "broken bzip2 data";
    if (full && stream.avail_out == 0) return "bzip2 data goes on past the stated size";
    in += in_before - stream.avail_in;
    if (!full) out += out_before - stream.avail_out;
    if (status == BZ_STREAM_END) break;
    if (in_before == stream.avail_in && out_before == stream.avail_out) return "bzip2 data is cut";
  }
  if (out != target.size()) return "bzip2 data ends before the stated size";
  return {};
}

}  // namespace intact
