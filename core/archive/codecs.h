// Codecs: the compression methods a zip member can have, behind one function.
//
// Unpacking stops at the size the directory states, so a bomb costs no more than it admits to. A Workspace
// holds the decoders and a scratch buffer, which are worth keeping between members; a WorkspacePool keeps a
// few of them and hands one to whoever reads.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/scratch.h"

namespace intact {

// APPNOTE.TXT 4.4.5.
enum class Method : std::uint16_t { kStored = 0, kDeflate = 8, kBzip2 = 12, kLzma = 14, kZstd = 93 };

// Why a method cannot be unpacked, naming it; nothing if it can.
std::optional<std::string> unsupported_method(std::uint16_t method);

// Whether `packed` bytes can possibly unpack to `size`: asked before memory is allocated.
bool plausible_size(Method method, std::uint64_t packed, std::uint64_t size);

class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // As Scratch::get.
  std::byte* scratch(std::size_t size) { return scratch_.get(size); }

  // Fills `target` exactly; a reason if that fails. Not for kStored.
  std::optional<std::string> unpack(Method method, std::span<const std::byte> packed, std::span<std::byte> target);

  // Lets go of a scratch buffer that is too large to keep.
  void trim();

 private:
  struct Decoders;
  std::unique_ptr<Decoders> decoders_;
  Scratch scratch_;
};

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

// Lock-free: a slot is taken and given back by one atomic exchange; when all are in use a new one is made, when
// all are full the one given back is freed.
class WorkspacePool {
 public:
  class Lease {
   public:
    explicit Lease(WorkspacePool& pool) : pool_(pool), workspace_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(workspace_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace* operator->() const { return workspace_.get(); }
    Workspace& operator*() const { return *workspace_; }

   private:
    WorkspacePool& pool_;
    std::unique_ptr<Workspace> workspace_;
  };

  WorkspacePool() = default;
  ~WorkspacePool();

 private:
  std::unique_ptr<Workspace> take();
  void give_back(std::unique_ptr<Workspace> workspace);

  std::atomic<Workspace*> slots_[4] = {};  // each owned
};

}  // namespace intact
