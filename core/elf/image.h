// Image: a shared object of an archive that is loaded. Never destroyed before its loader, and never changed once its
// initialisers have begun, except where a member says so: other threads read without a lock.

#pragma once

#include <link.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/elf/image_loader.h"
#include "core/elf/library_search.h"

namespace intact {

struct Image {
  ImageInfo info;                             // without the time of initialising
  std::atomic<std::int64_t> initialising{0};  // set when it is done
  std::uint64_t size = 0;                     // of the member; with its CRC tells whether another mount has the same
  std::uint32_t crc = 0;
  std::string load_path;  // what dlopen was asked for: a name of this image alone, touching no file
  const link_map* map = nullptr;
  std::uint64_t begin = 0;  // addresses
  std::uint64_t end = 0;
  std::shared_ptr<const SearchScope> scope;
  Image* next = nullptr;  // loaded before this one
};

}  // namespace intact
